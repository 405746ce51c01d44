"""The pool's devices in the store: a gateway's batches go in, a snapshot comes out."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from rpn.codec import pack, pack_record
from rpn.events import Kind, Operation, pack_operations
from rpn.replica import Snapshot
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.records import DoneEntry, TaskStreamEntry
from rpn.store.scripts import Script

WHOEVER = "*"
"""Expected presence of a fresh join: it supersedes whatever is there."""
SAME = "="
"""Expected presence of a join made again after a resync: nobody, or the same session."""


class Resync(Exception):
    """The store does not know this gateway (any more): take a new id and join everybody again."""


class Guarded(NamedTuple):
    """An operation, and what must hold for it."""

    operation: Operation
    expected: str
    """the presence it rests on, WHOEVER or SAME"""
    entries: tuple[TaskStreamEntry, ...] = ()
    """JOIN: what the scheduler must reconcile"""
    until_ms: int = 0
    """JOIN: not to be applied later than this (the store's clock); 0: whenever"""

    @property
    def size(self) -> int:
        """About how many bytes it adds to a batch."""
        operation = self.operation
        size = len(operation.report) + len(operation.identity) + 64
        if operation.earlier:
            size += sum(map(len, operation.earlier))
        if self.entries:
            size += sum(len(entry.outcome) for entry in self.entries if isinstance(entry, DoneEntry))
        return size


class InboxItem(NamedTuple):
    """What a device has still to receive."""

    id: str
    frame: bytes


class Applied(NamedTuple):
    """What became of a batch."""

    rev: int
    now_ms: int
    skipped: frozenset[int]
    """operations whose device had moved on"""
    inboxes: dict[int, list[InboxItem]]
    """by operation: what waits for a device that joined"""


class PoolStore:
    """The devices of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._apply = Script(connection, "pool_tell", "pool_apply")
        self._snapshot = Script(connection, "pool_snapshot")

    async def apply(
        self, gateway: str, number: int, batch: list[Guarded], *, lease_ms: int, tip: str
    ) -> Applied:
        """Apply a gateway's numbered batch; the same number again is answered, not applied.

        An empty batch renews the lease. Raises Resync, or StoreUnavailable when the outcome is
        unknown: then apply the same batch again.
        """
        k = self._keys
        keys = [k.meta, k.sessions, k.devices, k.resources, k.seen, k.lost, k.gateways, k.batches, k.tasks]
        guards: list[str | tuple[Any, ...]] = []
        for operation, expected, entries, until_ms in batch:
            if operation.kind is not Kind.JOIN:
                guards.append(expected)
                continue
            keys.append(k.inbox(operation.device_id))
            guards.append((expected, len(keys), [pack_record(entry) for entry in entries], until_ms))
        operations = pack_operations([each.operation for each in batch])
        publish = self._connection.publish
        args = [gateway, number, lease_ms, k.events, tip, operations, pack(guards), publish]
        joins = any(not isinstance(guard, str) for guard in guards)
        return _applied(await self._apply.run(keys, args, lasting=joins))

    async def snapshot(self) -> Snapshot:
        """All devices, at one moment."""
        k = self._keys
        keys = [k.meta, k.sessions, k.devices, k.resources, k.seen, k.lost]
        rev, tip, now_ms, devices, sessions, resources, seen, lost = await self._snapshot.run(keys, [])
        return Snapshot(
            rev,
            tip.decode(),
            now_ms,
            _pairs(devices),
            {device: value.decode() for device, value in _pairs(sessions).items()},
            _pairs(resources),
            {device: int(float(value)) for device, value in _pairs(seen).items()},
            {device: int(float(value)) for device, value in _pairs(lost).items()},
        )

    async def forget_gateway(self, gateway: str) -> None:
        """Take a gateway that goes away in good order out of the books. Raises StoreUnavailable."""
        k = self._keys
        await self._connection.commands(
            [("ZREM", k.gateways, gateway), ("HDEL", k.batches, gateway), ("DEL", k.mailbox(gateway))]
        )


def new_tip() -> str:
    """A random mark for a batch."""
    return secrets.token_hex(6)


def _applied(reply: list[Any]) -> Applied:
    if reply[0] != b"OK":
        raise Resync
    _, rev, now_ms, skipped, flat = reply
    inboxes: dict[int, list[InboxItem]] = {}
    for index, item_id, frame in zip(*[iter(flat)] * 3, strict=True):
        inboxes.setdefault(index, []).append(InboxItem(item_id.decode(), frame))
    return Applied(rev, now_ms, frozenset(int(each) for each in skipped.split(b",") if each), inboxes)


def _pairs(flat: list[bytes]) -> dict[str, bytes]:
    each = iter(flat)
    return {key.decode(): value for key, value in zip(each, each, strict=True)}
