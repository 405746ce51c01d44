"""Answers resource requests, and keeps what was granted until it is given back or its holder is gone."""

from __future__ import annotations

from functools import partial

import msgspec

from rpn.messages import ResourceAllocation
from rpn.model import Allocation, Share
from rpn.replica import iso
from rpn.store.commits import Decision
from rpn.store.records import AllocationRecord, ReleaseEntry, RequestEntry, RequestStreamEntry
from scheduler.amounts import amounts_of
from scheduler.desk import Desk
from scheduler.placement import place
from scheduler.shortfall import Shortfall

PATIENCE_MS = 2000
"""how long the mirror may be behind the store before we believe it that a device is gone"""
SETTLE_MS = 50
"""how old a request must be to be refused: what joined just before may be on its way to the mirror"""
PAUSE_MS = 20
"""how long the mirror is given to catch up after the store skipped a decision"""
REQUESTER = "requester:"
"""what the deadline of a requester that is gone is called"""


class Pending:
    """A request that is not answered yet."""

    __slots__ = ("entry", "entry_id", "retry_ms", "settled_ms", "skipped_ms")

    def __init__(self, entry_id: str, entry: RequestEntry) -> None:
        self.entry_id = entry_id
        self.entry = entry
        self.settled_ms = int(entry_id.partition("-")[0]) + SETTLE_MS
        """from when on it may be refused; a stream's ids begin with their time"""
        self.retry_ms = 0
        self.skipped_ms: int | None = None
        """when the store first said that a device had moved on"""


class Allocations:
    """Everything that is held, by whom."""

    def __init__(self, desk: Desk) -> None:
        self._devices = desk.devices
        self._ledger = desk.ledger
        self._keeper = desk.keeper
        self._courier = desk.courier
        self._docket = desk.docket
        self._counts = desk.counts
        self._limit = desk.settings.allocation_limit
        self._grace_ms = int(desk.settings.allocation_grace_s * 1000)
        self._records: dict[str, AllocationRecord] = {}
        self._held_by: dict[str, dict[str, None]] = {}
        self._waiting: list[Pending] = []

    def __len__(self) -> int:
        return len(self._records)

    def next_retry_ms(self) -> int | None:
        """When a request is to be tried again."""
        return min((pending.retry_ms for pending in self._waiting), default=None)

    def load(self, records: list[AllocationRecord], now_ms: int) -> None:
        """Take over what the store holds, and see that the absent have a deadline."""
        for record in sorted(records, key=lambda each: (each.created_ms, each.id)):
            self._remember(record)
        for requester_id in self._held_by:
            if requester_id in self._devices:
                self.requester_back(requester_id)
            else:
                self._give_grace(requester_id, now_ms)

    def take(self, entry_id: str, entry: RequestStreamEntry, now_ms: int) -> None:
        """Answer one entry of the stream of requests."""
        if isinstance(entry, ReleaseEntry):
            self._release(entry_id, entry)
        else:
            self._request(Pending(entry_id, entry), now_ms)

    def retry(self, now_ms: int) -> None:
        """Try those again that wait for the mirror to catch up."""
        waiting, self._waiting = self._waiting, []
        for pending in waiting:
            if now_ms < pending.retry_ms:
                self._waiting.append(pending)
            else:
                self._request(pending, now_ms)

    def device_left(self, device_id: str, reason: str, now_ms: int) -> None:
        """Its shares are lost; what it holds goes at once if it closed, else after a grace."""
        self._lose_shares(device_id)
        if device_id not in self._held_by:
            return
        if reason == "closed":
            self._free_all(device_id)
        else:
            self._give_grace(device_id, now_ms)

    def requester_back(self, device_id: str) -> None:
        """It is in the pool: what it holds stays."""
        if REQUESTER + device_id in self._keeper:
            self._keeper.clear(self._docket.decide(), REQUESTER + device_id)

    def grace_over(self, device_id: str) -> None:
        """Free what a requester held that did not come back."""
        if device_id in self._devices:
            self.requester_back(device_id)
        else:
            self._free_all(device_id)

    def _request(self, pending: Pending, now_ms: int) -> None:
        entry = pending.entry
        if entry.allocation_id in self._records:  # answered by a leader before us
            self._docket.decide().request_processed(pending.entry_id)
            return
        if entry.device_id not in self._devices and pending.skipped_ms is not None:
            self._doubt(pending, pending.skipped_ms, now_ms)
            return
        if self._full(entry.device_id):
            if entry.releases:
                self._refuse(pending, now_ms)
                return
            self._let_oldest_go(entry.device_id)
        plan = place(entry.requirements, self._ledger.offers.values(), requester=entry.device_id)
        if not isinstance(plan, Shortfall):
            self._grant(pending, plan, now_ms)
        elif now_ms < pending.settled_ms:
            self._wait(pending, pending.settled_ms)
        else:
            self._refuse(pending, now_ms)

    def _doubt(self, pending: Pending, since_ms: int, now_ms: int) -> None:
        """The requester is not where its request came from, nor in the mirror: wait, then let it go."""
        if now_ms - since_ms < PATIENCE_MS:
            self._wait(pending, now_ms + PAUSE_MS)
        else:
            self._docket.decide().request_processed(pending.entry_id)
            self._counts.requests_dropped += 1

    def _grant(self, pending: Pending, shares: list[Share], now_ms: int) -> None:
        entry = pending.entry
        record = AllocationRecord(
            entry.allocation_id,
            entry.device_id,
            entry.requirements,
            shares,
            now_ms,
            entry.request_id,
            entry.releases,
        )
        self._remember(record)
        decision = self._docket.decide(undo=partial(self._take_back, record.id, pending))
        for device_id in dict.fromkeys([entry.device_id, *(share.device_id for share in shares)]):
            decision.rest_on(device_id, self._courier.presence(device_id) or entry.presence)
        decision.hold(record)
        self._answer(decision, pending, shares, now_ms)
        self._counts.requests_fulfilled += 1
        if entry.device_id not in self._devices:  # the mirror may never hear of its coming and going
            self._give_grace(entry.device_id, now_ms)

    def _take_back(self, allocation_id: str, pending: Pending, now_ms: int) -> None:
        """The store skipped a grant: nothing is held, and the request is tried again."""
        record = self._records.get(allocation_id)
        if record is not None:
            self._forget(record)
        self._counts.requests_fulfilled -= 1
        pending.skipped_ms = now_ms if pending.skipped_ms is None else pending.skipped_ms
        self._wait(pending, now_ms + PAUSE_MS)

    def _wait(self, pending: Pending, retry_ms: int) -> None:
        pending.retry_ms = retry_ms
        self._waiting.append(pending)

    def _refuse(self, pending: Pending, now_ms: int) -> None:
        self._answer(self._docket.decide(), pending, [], now_ms)
        self._counts.requests_refused += 1

    def _answer(self, decision: Decision, pending: Pending, shares: list[Share], now_ms: int) -> None:
        entry = pending.entry
        allocation = Allocation(
            entry.allocation_id, entry.device_id, iso(now_ms), entry.requirements, bool(shares), shares
        )
        self._courier.bring(
            decision,
            entry.device_id,
            ResourceAllocation(allocation=allocation, request_id=entry.request_id),
            inbox_id=f"allocation:{allocation.id}",
            presence=entry.presence,
        )
        decision.request_processed(pending.entry_id)

    def _release(self, entry_id: str, entry: ReleaseEntry) -> None:
        """Free it if it is its requester who says so."""
        decision = self._docket.decide()
        decision.request_processed(entry_id)
        record = self._records.get(entry.allocation_id)
        if record is not None and record.requester_id == entry.device_id:
            self._free(decision, record)

    def _full(self, requester_id: str) -> bool:
        return len(self._held_by.get(requester_id, ())) >= self._limit

    def _let_oldest_go(self, requester_id: str) -> None:
        """Its own decision, because the grant that follows may be skipped."""
        oldest = next(iter(self._held_by[requester_id]))
        self._free(self._docket.decide(), self._records[oldest])

    def _lose_shares(self, device_id: str) -> None:
        lost = [
            self._records[holder] for holder in self._ledger.holders(device_id) if holder in self._records
        ]
        for record in lost:
            left = [share for share in record.shares if share.device_id != device_id]
            decision = self._docket.decide()
            if left:
                self._ledger.release_share(record.id, device_id)
                self._records[record.id] = msgspec.structs.replace(record, shares=left)
                decision.hold(self._records[record.id])
            else:
                self._free(decision, record)

    def _give_grace(self, requester_id: str, now_ms: int) -> None:
        if REQUESTER + requester_id not in self._keeper:
            self._keeper.set(self._docket.decide(), REQUESTER + requester_id, now_ms + self._grace_ms)

    def _free_all(self, requester_id: str) -> None:
        decision = self._docket.decide()
        self._keeper.clear(decision, REQUESTER + requester_id)
        for allocation_id in list(self._held_by.get(requester_id, ())):
            self._free(decision, self._records[allocation_id])

    def _free(self, decision: Decision, record: AllocationRecord) -> None:
        self._forget(record)
        decision.free(record.id, record.requester_id)
        self._counts.allocations_freed += 1

    def _remember(self, record: AllocationRecord) -> None:
        self._records[record.id] = record
        self._held_by.setdefault(record.requester_id, {})[record.id] = None
        for share in record.shares:
            self._ledger.reserve(record.id, share.device_id, amounts_of(share))

    def _forget(self, record: AllocationRecord) -> None:
        del self._records[record.id]
        held = self._held_by[record.requester_id]
        del held[record.id]
        if not held:
            del self._held_by[record.requester_id]
        self._ledger.release(record.id)
