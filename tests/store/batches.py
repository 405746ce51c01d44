"""Batches of operations, with dull defaults, and a gateway that sends them as a gateway does."""

from __future__ import annotations

from typing import Any

from rpn.codec import encode
from rpn.events import Identity, Kind, Operation, Report, pack_identity, pack_report
from rpn.messages import ResourceChanged
from rpn.model import NO_RESOURCES
from rpn.store.pool import WHOEVER, Applied, Guarded, PoolStore, new_tip

LEASE_MS = 60_000


def identity(name: str = "a device", **more: Any) -> bytes:
    return pack_identity(Identity(name, "linux", "10.0.0.1", **more))


def measurement(device_id: str, cpu_usage: float = 0) -> bytes:
    """A packed Report."""
    resources = NO_RESOURCES.__class__(cpu_usage, 0, 4, 0, 0, 0, 0, 0, 0, has_gpu=False)
    return pack_report(Report(encode(ResourceChanged(device_id, resources))))


def join(
    device_id: str,
    session: str = "s1",
    *,
    gateway: str = "g1",
    name: str = "a device",
    report: bytes = b"",
    expected: str = WHOEVER,
    **more: Any,
) -> Guarded:
    operation = Operation(Kind.JOIN, device_id, session, gateway, identity(name), report)
    return Guarded(operation, expected, **more)


def report(device_id: str, presence: str = "s1 g1", *, cpu_usage: float = 0) -> Guarded:
    operation = Operation(Kind.REPORT, device_id, report=measurement(device_id, cpu_usage))
    return Guarded(operation, presence)


def heard(device_id: str, presence: str = "s1 g1") -> Guarded:
    return Guarded(Operation(Kind.HEARD, device_id), presence)


def identify(device_id: str, name: str, presence: str = "s1 g1") -> Guarded:
    return Guarded(Operation(Kind.IDENTIFY, device_id, identity=identity(name)), presence)


def lose(device_id: str, presence: str = "s1 g1") -> Guarded:
    session = presence.partition(" ")[0]
    return Guarded(Operation(Kind.LOSE, device_id, session, reason="cut"), presence)


def leave(device_id: str, presence: str = "s1 g1") -> Guarded:
    session = presence.partition(" ")[0]
    return Guarded(Operation(Kind.LEAVE, device_id, session, reason="closed"), presence)


class Gateway:
    """A gateway as the store knows one: an id, and batches in order."""

    def __init__(self, pool: PoolStore, name: str = "g1") -> None:
        self._pool = pool
        self.name = name
        self.number = 0
        self._tip = ""
        self._batch: list[Guarded] = []

    async def send(self, *batch: Guarded) -> Applied:
        """The next batch."""
        self.number, self._tip, self._batch = self.number + 1, new_tip(), list(batch)
        return await self.send_again()

    async def send_again(self) -> Applied:
        """The last batch, byte for byte."""
        return await self._pool.apply(self.name, self.number, self._batch, lease_ms=LEASE_MS, tip=self._tip)

    async def join(self, *device_ids: str, session: str = "s1") -> Applied:
        """Devices that nobody has to look at closely."""
        return await self.send(*(join(each, session, gateway=self.name) for each in device_ids))
