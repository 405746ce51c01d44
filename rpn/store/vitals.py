"""How the parts of a pool are: what each gateway tells of itself, who schedules, and how much waits."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Struct

from rpn.store.connection import Connection
from rpn.store.keys import Keys

KEPT_S = 15
"""a gateway that has told nothing for this long is not heard of any more"""


class Vitals(Struct, frozen=True, rename="camel", kw_only=True):
    """What one gateway tells of itself, over its last few seconds."""

    at_ms: int
    """when, by the clock of the pool's server"""
    version: str = ""
    uptime_s: int = 0
    devices: int = 0
    observers: int = 0
    lagging: int = 0
    received_per_s: float = 0
    sent_per_s: float = 0
    sent_kib_per_s: float = 0
    fanout_ms: float | None = None
    """from the first message of a round to its last write, on average; None when there was none"""
    bus_ms: float | None = None
    """from publishing an event to hearing of it, on average"""
    batch_ms: float | None = None
    """a batch's round trip to the pool's server, on average"""


class Standing(NamedTuple):
    """How the pool's server knows its parts, at one moment."""

    gateways: dict[str, int]
    """gateway id -> ms until its lease ends, negative when it is over; of those that had devices"""
    vitals: dict[str, Vitals]
    leader: str
    """the fence of the scheduler that leads; empty when none does"""
    leader_lease_ms: int
    open_tasks: int
    waiting: int
    """entries that the scheduler has not dealt with"""


class VitalsStore:
    """The vitals of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def tell(self, gateway: str, vitals: Vitals) -> None:
        """Keep what a gateway tells of itself, for a while. Raises StoreUnavailable."""
        key = self._keys.vitals
        told = msgspec.msgpack.encode(vitals)
        await self._connection.commands([("HSET", key, gateway, told), ("EXPIRE", key, KEPT_S)])

    async def standing(self) -> Standing:
        """Everything at once. Raises StoreUnavailable."""
        keys = self._keys
        told, leases, lease, lease_ms, open_tasks, requests, tasks, time = await self._connection.commands(
            [
                ("HGETALL", keys.vitals),
                ("ZRANGE", keys.gateways, 0, -1, "WITHSCORES"),
                ("GET", keys.lease),
                ("PTTL", keys.lease),
                ("ZCARD", keys.open),
                ("XLEN", keys.requests),
                ("XLEN", keys.tasks),
                ("TIME",),
            ]
        )
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        ends = zip(leases[::2], leases[1::2], strict=True)
        return Standing(
            gateways={name.decode(): int(float(end)) - now_ms for name, end in ends},
            vitals=await self._fresh(told, now_ms),
            leader=lease.decode() if lease else "",
            leader_lease_ms=max(0, int(lease_ms)),
            open_tasks=int(open_tasks),
            waiting=int(requests) + int(tasks),
        )

    async def _fresh(self, told: dict[bytes, bytes], now_ms: int) -> dict[str, Vitals]:
        """What was told lately; what is older goes."""
        read = {name: msgspec.msgpack.decode(each, type=Vitals) for name, each in told.items()}
        old = [name for name, each in read.items() if each.at_ms < now_ms - 1000 * KEPT_S]
        if old:
            await self._connection.command("HDEL", self._keys.vitals, *old)
        return {name.decode(): each for name, each in read.items() if name not in old}
