"""What Redis does with devices, in plain dicts: the model that mirrors and gateways are held against."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from rpn.events import Event, Kind, Operation, pack_operations
from rpn.replica import Snapshot
from rpn.store.pool import SAME, WHOEVER, Applied, Guarded, InboxItem, Resync


class StoreModel:
    """The devices of a pool as the store's hashes hold them."""

    def __init__(self) -> None:
        self.rev, self.tip, self.now_ms = 0, "", 0
        self.devices: dict[str, bytes] = {}
        self.sessions: dict[str, str] = {}
        self.resources: dict[str, bytes] = {}
        self.seen_ms: dict[str, int] = {}
        self.lost_ms: dict[str, int] = {}

    def apply(self, *operations: Operation) -> Event:
        """Write the operations, and say so as the script does."""
        self.now_ms += 1000
        prev, self.tip, self.rev = self.tip, f"tip-{self.rev + 1}", self.rev + 1
        for operation in operations:
            self._operate(operation)
        return Event(self.rev, prev, self.tip, self.now_ms, "g", self.rev, list(operations))

    def _operate(self, operation: Operation) -> None:
        kind, device_id = operation.kind, operation.device_id
        if kind is Kind.LEAVE:
            self._forget(device_id)
        elif kind is Kind.LOSE:
            self.lost_ms[device_id] = self.now_ms
        else:
            self.seen_ms[device_id] = self.now_ms
            if kind is Kind.JOIN:
                self.sessions[device_id] = f"{operation.session} {operation.gateway}"
                self.lost_ms.pop(device_id, None)
            if operation.identity:
                self.devices[device_id] = operation.identity
            if operation.report:
                self.resources[device_id] = operation.report

    def _forget(self, device_id: str) -> None:
        for held in (self.devices, self.sessions, self.resources):
            held.pop(device_id, None)
        for since in (self.seen_ms, self.lost_ms):
            since.pop(device_id, None)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.rev,
            self.tip,
            self.now_ms,
            dict(self.devices),
            dict(self.sessions),
            dict(self.resources),
            dict(self.seen_ms),
            dict(self.lost_ms),
        )


class Sent(NamedTuple):
    """One call of `apply`: what would go over the wire."""

    gateway: str
    number: int
    tip: str
    payload: bytes
    batch: list[Guarded]

    @property
    def kinds(self) -> list[tuple[Kind, str]]:
        return [(each.operation.kind, each.operation.device_id) for each in self.batch]


class FakePoolStore:
    """Applies batches to a model and tells everybody; a test may have it fail, wait or forget."""

    def __init__(self) -> None:
        self.model = StoreModel()
        self.listeners: list[Callable[[Event], None]] = []
        self.sent: list[Sent] = []
        self.failures: list[Exception] = []
        """raised one by one, before anything is applied"""
        self.broken: Exception | None = None
        """raised as long as it is set"""
        self.open = asyncio.Event()
        """cleared: no answer comes"""
        self.open.set()
        self.inboxes: dict[str, list[InboxItem]] = {}
        self.forgotten: list[str] = []
        self.under_way = self.most_under_way = 0

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    async def apply(
        self, gateway: str, number: int, batch: list[Guarded], *, lease_ms: int, tip: str
    ) -> Applied:
        self.sent.append(Sent(gateway, number, tip, pack_operations([g.operation for g in batch]), batch))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)
        if self.broken is not None:
            raise self.broken
        return self._apply(batch)

    def _apply(self, batch: list[Guarded]) -> Applied:
        skipped = frozenset(index for index, guarded in enumerate(batch) if not self._holds(guarded))
        operations = [each.operation for index, each in enumerate(batch) if index not in skipped]
        if operations:
            self.announce(self.model.apply(*operations))
        inboxes = {
            index: self.inboxes[guarded.operation.device_id]
            for index, guarded in enumerate(batch)
            if guarded.operation.kind is Kind.JOIN and guarded.operation.device_id in self.inboxes
        }
        return Applied(self.model.rev, self.model.now_ms, skipped, inboxes)

    def _holds(self, guarded: Guarded) -> bool:
        operation, expected = guarded.operation, guarded.expected
        present = self.model.sessions.get(operation.device_id)
        if guarded.until_ms and self.now_ms() > guarded.until_ms:
            return False
        if expected == SAME:
            return present is None or present.split()[0] == operation.session
        return expected in (WHOEVER, present)

    def announce(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def happens(self, *operations: Operation) -> None:
        """Another gateway's batch."""
        self.announce(self.model.apply(*operations))

    async def forget_gateway(self, gateway: str) -> None:
        self.forgotten.append(gateway)

    @property
    def said(self) -> list[tuple[Kind, str]]:
        """Every operation that was sent, batches in a row."""
        return [each for sent in self.sent for each in sent.kinds]


__all__ = ["FakePoolStore", "Resync", "Sent", "StoreModel"]
