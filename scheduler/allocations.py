"""Answers resource requests: all of what is asked for is reserved, or nothing, and then with the reason."""

from __future__ import annotations

from functools import partial

from rpn.errors import RequestConflict
from rpn.model import Reason, Share
from rpn.store.records import (
    AllocationRecord,
    ReleaseEntry,
    RenewEntry,
    RequestEntry,
)
from scheduler.demand import Demand, demand_of
from scheduler.desk import Desk
from scheduler.holding import ALLOCATION, Holding
from scheduler.holdings import Holder, Holdings
from scheduler.placement import find
from scheduler.rate import Rate
from scheduler.replacing import Replacing
from scheduler.replies import Replies
from scheduler.shortfall import explain

PATIENCE_MS = 2000
"""how long the mirror may be behind the store before we believe it that a device is gone"""
SETTLE_MS = 50
"""how old a request must be to be refused: what joined just before may be on its way to the mirror"""
PAUSE_MS = 20
"""how long the mirror is given to catch up after the store skipped a decision"""


AllocationEntry = RequestEntry | ReleaseEntry | RenewEntry


class Pending:
    """A request that is not answered yet."""

    __slots__ = ("entry", "entry_id", "holder", "retry_ms", "skipped_ms")

    def __init__(self, entry_id: str, entry: RequestEntry) -> None:
        self.entry_id = entry_id
        self.entry = entry
        self.holder: Holder = entry.device_id, entry.call is not None
        self.retry_ms = 0
        self.skipped_ms: int | None = None
        """when the store first said that a device had moved on"""

    @property
    def settled_ms(self) -> int:
        """From when on it may be refused; a stream's ids begin with their time."""
        return int(self.entry_id.partition("-")[0]) + SETTLE_MS


class Allocations:
    """The stream of requests, an entry at a time."""

    def __init__(self, desk: Desk) -> None:
        self._devices = desk.devices
        self._ledger = desk.ledger
        self._ceilings = desk.ceilings
        self._keeper = desk.keeper
        self._courier = desk.courier
        self._docket = desk.docket
        self._counts = desk.counts
        self._limit = desk.settings.allocation_limit
        self._caller_limit = desk.settings.caller_allocation_limit
        self._replies = Replies(desk.courier)
        self.held = Holdings(desk.ledger, desk.ceilings)
        self.holding = Holding(desk, self.held, self._replies)
        self.replacing = Replacing(desk, self.held, self.holding, self._replies)
        self._excuses = Rate()
        """reasons made up for nobody but the news: each takes a look at every device"""
        self._waiting: list[Pending] = []
        self._later: list[tuple[str, ReleaseEntry | RenewEntry]] = []

    def next_retry_ms(self) -> int | None:
        """When a request is to be tried again."""
        if self._later:
            return 0
        return min((pending.retry_ms for pending in self._waiting), default=None)

    def begin(self, now_ms: int) -> None:
        """A new round: what the one before decided is settled; try again what had to wait.

        What is granted or changed in it is `fresh`: nothing else that is asked about it is decided before
        the store has it.
        """
        self.held.fresh.clear()
        self.replacing.replace(now_ms)
        later, self._later = self._later, []
        for entry_id, entry in later:
            self.take(entry_id, entry, now_ms)
        waiting, self._waiting = self._waiting, []
        for pending in waiting:
            if now_ms < pending.retry_ms:
                self._waiting.append(pending)
            else:
                self._request(pending, now_ms)

    def take(self, entry_id: str, entry: AllocationEntry, now_ms: int) -> None:
        """Answer one entry."""
        match entry:
            case RequestEntry():
                self._request(Pending(entry_id, entry), now_ms)
            case _ if entry.allocation_id in self.held.fresh:
                self._later.append((entry_id, entry))
            case ReleaseEntry():
                self._withdraw(entry.allocation_id)
                self.holding.release(entry_id, entry, now_ms)
            case RenewEntry():
                self.holding.renew(entry_id, entry, now_ms)

    def device_left(self, device_id: str, reason: str, now_ms: int) -> None:
        """It gives no more shares, and may hold nothing any more."""
        self.replacing.device_left(device_id, now_ms)
        self.holding.requester_left(device_id, reason, now_ms)

    # --- a request ----------------------------------------------------------------------------

    def _request(self, pending: Pending, now_ms: int) -> None:
        entry = pending.entry
        known = self.held.get(entry.allocation_id)
        if known is not None:
            self._known(pending, known)
            return
        gone = entry.call is None and entry.device_id not in self._devices
        if gone and pending.skipped_ms is not None:
            self._doubt(pending, pending.skipped_ms, now_ms)
            return
        if self._full(pending):
            if entry.releases:
                self._refuse(pending, self._quota(pending), now_ms)
                return
            if not entry.dry_run:
                self.holding.let_oldest_go(pending.holder, now_ms)
        demand = demand_of(entry.requirements, requester=entry.device_id, patron=entry.patron)
        over = self._ceilings.reason(demand)
        if over is not None:
            self._refuse(pending, over, now_ms)
            return
        plan = find(demand, self._ledger.stock)
        if plan is None:
            self._short(pending, demand, now_ms)
        elif entry.dry_run:
            self._try(pending, plan, now_ms)
        else:
            self._grant(pending, plan, now_ms)

    def _known(self, pending: Pending, known: AllocationRecord) -> None:
        """It was granted before, by us or another leader: a caller whose key has expired asks anew."""
        decision, entry = self._docket.decide(), pending.entry
        decision.request_processed(pending.entry_id)
        if (known.requester_id, known.called) != pending.holder or known.requirements != entry.requirements:
            taken = RequestConflict(f"{entry.allocation_id} is another allocation")
            self._replies.denied(decision, entry, taken)
        elif entry.call is not None:
            self._replies.granted(decision, entry, known)

    def _doubt(self, pending: Pending, since_ms: int, now_ms: int) -> None:
        """The requester is not where its request came from, nor in the mirror: wait, then let it go."""
        if now_ms - since_ms < PATIENCE_MS:
            self._wait(pending, now_ms + PAUSE_MS)
        else:
            self._docket.decide().request_processed(pending.entry_id)
            self._counts.requests_dropped += 1

    def _short(self, pending: Pending, demand: Demand, now_ms: int) -> None:
        """It does not fit, unless what joined just now changes that."""
        if now_ms < pending.settled_ms:
            self._wait(pending, pending.settled_ms)
        elif pending.entry.explains or self._excuses.admits(now_ms):
            self._refuse(pending, explain(demand, self._ledger.stock).reason, now_ms)
        else:
            self._refuse(pending, None, now_ms)

    def _try(self, pending: Pending, shares: list[Share], now_ms: int) -> None:
        decision = self._docket.decide()
        decision.request_processed(pending.entry_id)
        self._replies.tried(decision, pending.entry, shares, now_ms)
        self._counts.requests_tried += 1

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
            expires_ms=now_ms + entry.ttl_ms if entry.ttl_ms else 0,
            called=entry.call is not None,
            patron=entry.patron,
        )
        self.held.keep(record)
        decision = self._docket.decide(undo=partial(self._take_back, record, pending))
        for share in shares:
            decision.rest_on(share.device_id, self._courier.presence(share.device_id))
        if entry.call is None:
            decision.rest_on(entry.device_id, self._courier.presence(entry.device_id) or entry.presence)
        decision.hold(record)
        if record.expires_ms:
            self._keeper.set(decision, ALLOCATION + record.id, record.expires_ms)
        self._replies.granted(decision, entry, record)
        decision.request_processed(pending.entry_id)
        decision.announce("allocation", allocation_id=record.id, device_id=entry.device_id, state="held")
        self._counts.requests_fulfilled += 1
        if not record.expires_ms and entry.device_id not in self._devices:
            self.holding.give_grace(entry.device_id, now_ms)  # the mirror may never hear of it

    def _take_back(self, record: AllocationRecord, pending: Pending, now_ms: int) -> None:
        """The store skipped a grant: nothing is held, and the request is tried again."""
        if self.held.get(record.id) is record:
            self.held.drop(record)
        self._keeper.forget(ALLOCATION + record.id)
        self._counts.requests_fulfilled -= 1
        pending.skipped_ms = now_ms if pending.skipped_ms is None else pending.skipped_ms
        self._wait(pending, now_ms + PAUSE_MS)

    def _wait(self, pending: Pending, retry_ms: int) -> None:
        pending.retry_ms = retry_ms
        self._waiting.append(pending)

    def _withdraw(self, allocation_id: str) -> None:
        """Whoever asked for it gives it back before it was granted."""
        withdrawn = [each for each in self._waiting if each.entry.allocation_id == allocation_id]
        for pending in withdrawn:
            self._waiting.remove(pending)
            self._docket.decide().request_processed(pending.entry_id)
            self._counts.requests_dropped += 1

    def _refuse(self, pending: Pending, reason: Reason | None, now_ms: int) -> None:
        entry, decision = pending.entry, self._docket.decide()
        decision.request_processed(pending.entry_id)
        self._replies.refused(decision, entry, reason, now_ms)
        decision.announce(
            "allocation",
            allocation_id=entry.allocation_id,
            device_id=entry.device_id,
            state="refused",
            reason=reason.message if reason is not None else None,
        )
        self._counts.requests_refused += 1

    # --- how much one may hold ----------------------------------------------------------------

    def _full(self, pending: Pending) -> bool:
        return self.held.count(pending.holder) >= self._limit_of(pending)

    def _limit_of(self, pending: Pending) -> int:
        return self._limit if pending.entry.call is None else self._caller_limit

    def _quota(self, pending: Pending) -> Reason:
        holds = self.held.count(pending.holder)
        return Reason(
            code="QUOTA",
            message=f"{pending.entry.device_id} holds {holds} allocations, as many as it may",
            devices=0,
        )
