"""Keeps what was granted until it is given back, its time is over, or its holder is gone."""

from __future__ import annotations

import msgspec

from rpn.errors import NotFound
from rpn.store.commits import Decision
from rpn.store.records import AllocationRecord, ReleaseEntry, RenewEntry
from scheduler.accounting import charge
from scheduler.amounts import amounts_of
from scheduler.desk import Desk
from scheduler.holdings import Holder, Holdings, holder_of
from scheduler.replies import Asked, Change, Replies

REQUESTER = "requester:"
"""what the deadline of a requester that is gone is called"""
ALLOCATION = "allocation:"
"""what the deadline of an allocation is called"""


class Holding:
    """The life of allocations after they were granted."""

    def __init__(self, desk: Desk, holdings: Holdings, replies: Replies) -> None:
        self._devices = desk.devices
        self._keeper = desk.keeper
        self._docket = desk.docket
        self._counts = desk.counts
        self._holdings = holdings
        self._replies = replies
        self._grace_ms = int(desk.settings.allocation_grace_s * 1000)

    def load(self, records: list[AllocationRecord], now_ms: int) -> None:
        """Take over what the store holds, and see that everything that must end has a deadline."""
        for record in sorted(records, key=lambda each: (each.created_ms, each.id)):
            self._holdings.keep(record)
            if not record.shares:  # a leader ended between losing the last one and saying so
                self.end(self._docket.decide(), record, now_ms)
            elif record.expires_ms:
                self._keeper.set(self._docket.decide(), ALLOCATION + record.id, record.expires_ms)
        for requester_id in {each.requester_id for each in self._holdings if not each.expires_ms}:
            if requester_id in self._devices:
                self.requester_back(requester_id)
            else:
                self.give_grace(requester_id, now_ms)

    # --- the holder's presence ----------------------------------------------------------------

    def requester_left(self, device_id: str, reason: str, now_ms: int) -> None:
        """What it holds goes at once if it closed, else after a grace."""
        if not self._holdings.present(device_id):
            return
        if reason == "closed":
            self._end_present(device_id, now_ms)
        else:
            self.give_grace(device_id, now_ms)

    def requester_back(self, device_id: str) -> None:
        """It is in the pool: what it holds stays."""
        if REQUESTER + device_id in self._keeper:
            self._keeper.clear(self._docket.decide(), REQUESTER + device_id)

    def give_grace(self, requester_id: str, now_ms: int) -> None:
        if REQUESTER + requester_id not in self._keeper:
            self._keeper.set(self._docket.decide(), REQUESTER + requester_id, now_ms + self._grace_ms)

    def grace_over(self, device_id: str, now_ms: int) -> None:
        """Free what a requester held that did not come back."""
        if device_id in self._devices:
            self.requester_back(device_id)
        else:
            self._end_present(device_id, now_ms)

    def _end_present(self, device_id: str, now_ms: int) -> None:
        decision = self._docket.decide()
        self._keeper.clear(decision, REQUESTER + device_id)
        for record in self._holdings.present(device_id):
            self.end(decision, record, now_ms)

    # --- what is asked ------------------------------------------------------------------------

    def release(self, entry_id: str, entry: ReleaseEntry, now_ms: int) -> None:
        """Give it back, if it is its holder who says so, or a caller."""
        decision = self._docket.decide()
        decision.request_processed(entry_id)
        record = self._asked_about(entry)
        if record is not None:
            self.end(decision, record, now_ms)
            self._replies.done(decision, entry, _ended(record), "released")
        elif not entry.withdraws:
            self._deny(decision, entry)

    def renew(self, entry_id: str, entry: RenewEntry, now_ms: int) -> None:
        """Hold it for so long from now, whatever it was bound to before."""
        decision = self._docket.decide()
        decision.request_processed(entry_id)
        record = self._asked_about(entry)
        if record is None:
            self._deny(decision, entry)
            return
        renewed = msgspec.structs.replace(record, expires_ms=now_ms + entry.ttl_ms)
        self._holdings.keep(renewed)
        self._keeper.set(decision, ALLOCATION + record.id, renewed.expires_ms)
        decision.hold(renewed)
        self._replies.done(decision, entry, renewed, "renewed")

    def expired(self, allocation_id: str, now_ms: int) -> None:
        """Its deadline rang."""
        record = self._holdings.get(allocation_id)
        decision = self._docket.decide()
        if record is None or not record.expires_ms:
            self._keeper.clear(decision, ALLOCATION + allocation_id)
        elif record.expires_ms > now_ms:
            self._keeper.set(decision, ALLOCATION + allocation_id, record.expires_ms)
        else:
            self.over(decision, record, "expired", now_ms)

    def _asked_about(self, asked: Asked) -> AllocationRecord | None:
        """The allocation, if whoever asks may: a device only about its own."""
        record = self._holdings.get(asked.allocation_id)
        if record is None or asked.call is not None:
            return record
        withdrawn = isinstance(asked, ReleaseEntry) and asked.withdraws
        return record if holder_of(record) == (asked.device_id, withdrawn) else None

    def _deny(self, decision: Decision, asked: Asked) -> None:
        missing = NotFound(f"there is no allocation {asked.allocation_id} of yours")
        self._replies.denied(decision, asked, missing)

    # --- its end ------------------------------------------------------------------------------

    def let_oldest_go(self, holder: Holder, now_ms: int) -> None:
        """Not in the decision of the grant that follows, which may be skipped; if that can be, with others.

        What was decided about it in this round must be written first.
        """
        oldest = self._holdings.oldest(holder)
        decision = self._docket.decide() if oldest.id in self._holdings.fresh else self._docket.note()
        self.end(decision, oldest, now_ms)

    def over(
        self,
        decision: Decision,
        record: AllocationRecord,
        change: Change,
        now_ms: int,
        *,
        lost_device_id: str = "",
    ) -> None:
        """End it, and tell its holder why."""
        self.end(decision, record, now_ms)
        self._replies.changed(decision, _ended(record), change, lost_device_id=lost_device_id)

    def end(self, decision: Decision, record: AllocationRecord, now_ms: int) -> None:
        """Nothing of it is held any more."""
        for share, since_ms in zip(record.shares, since_of(record), strict=True):
            charge(
                decision,
                device_id=share.device_id,
                submitter_id=record.requester_id,
                amounts=amounts_of(share),
                since_ms=since_ms,
                until_ms=now_ms,
            )
        self._holdings.drop(record)
        self._keeper.clear(decision, ALLOCATION + record.id)
        decision.free(record.id, record.requester_id)
        decision.announce("allocation", allocation_id=record.id, device_id=record.requester_id, state="freed")
        self._counts.allocations_freed += 1


def _ended(record: AllocationRecord) -> AllocationRecord:
    """What is left of it."""
    return msgspec.structs.replace(record, shares=[], since_ms=[], fulfilled=False)


def since_of(record: AllocationRecord) -> list[int]:
    """Since when each share is held."""
    return record.since_ms or [record.created_ms] * len(record.shares)
