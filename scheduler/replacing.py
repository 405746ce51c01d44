"""Finds another device for a share whose device left: all of the share or nothing of it."""

from __future__ import annotations

from functools import partial

import msgspec

from rpn.model import Requirements, Share
from rpn.store.records import AllocationRecord
from scheduler.accounting import charge
from scheduler.amounts import amounts_of
from scheduler.demand import demand_of
from scheduler.desk import Desk
from scheduler.holding import Holding, since_of
from scheduler.holdings import Holdings
from scheduler.placement import best_fit
from scheduler.replies import Replies


class Replacing:
    """What happens to allocations when a device leaves that has shares of them."""

    def __init__(self, desk: Desk, holdings: Holdings, holding: Holding, replies: Replies) -> None:
        self._ledger = desk.ledger
        self._ceilings = desk.ceilings
        self._docket = desk.docket
        self._courier = desk.courier
        self._holdings = holdings
        self._holding = holding
        self._replies = replies
        self._lost: list[tuple[str, Share]] = []
        """(allocation, share) of this round"""

    def device_left(self, device_id: str, now_ms: int) -> None:
        """Its shares are lost."""
        for record in self._holdings.on_device(device_id):
            lost = next(share for share in record.shares if share.device_id == device_id)
            self._holdings.keep(self._without(record, lost, now_ms))
            self._lost.append((record.id, lost))

    def replace(self, now_ms: int) -> None:
        """With all in the ledger that is new: hold each lost share elsewhere, or not at all."""
        lost, self._lost = self._lost, []
        for allocation_id, share in lost:
            left = self._holdings.get(allocation_id)
            if left is not None:  # it may have ended with its holder
                self._replace(left, share, now_ms)

    def _without(self, record: AllocationRecord, lost: Share, now_ms: int) -> AllocationRecord:
        """Take the share out. That rests on nothing: whatever becomes of the rest, this one is gone."""
        kept = [
            (share, since_ms)
            for share, since_ms in zip(record.shares, since_of(record), strict=True)
            if share is not lost
        ]
        left = msgspec.structs.replace(
            record,
            shares=[share for share, _ in kept],
            since_ms=[since_ms for _, since_ms in kept],
            fulfilled=False,
        )
        decision = self._docket.decide()
        charge(
            decision,
            device_id=lost.device_id,
            submitter_id=record.requester_id,
            amounts=amounts_of(lost),
            since_ms=since_of(record)[record.shares.index(lost)],
            until_ms=now_ms,
        )
        decision.hold(left)
        return left

    def _replace(self, left: AllocationRecord, lost: Share, now_ms: int) -> None:
        found = self._elsewhere(left, lost) if left.releases else None  # a plain client would never know
        if found is None:
            self._reduce(left, lost, now_ms)
            return
        whole = msgspec.structs.replace(
            left,
            shares=[*left.shares, found],
            since_ms=[*left.since_ms, now_ms],
            fulfilled=_adds_up(left, found),
        )
        self._holdings.keep(whole)
        decision = self._docket.decide(undo=partial(self._take_back, whole, lost))
        decision.rest_on(found.device_id, self._courier.presence(found.device_id))
        decision.hold(whole)
        self._replies.changed(decision, whole, "replaced", lost_device_id=lost.device_id)

    def _take_back(self, whole: AllocationRecord, lost: Share, now_ms: int) -> None:
        """The store skipped it: the other device is gone, too."""
        if self._holdings.get(whole.id) is whole:
            left = msgspec.structs.replace(
                whole, shares=whole.shares[:-1], since_ms=whole.since_ms[:-1], fulfilled=False
            )
            self._holdings.keep(left)
            self._reduce(left, lost, now_ms)

    def _reduce(self, left: AllocationRecord, lost: Share, now_ms: int) -> None:
        """What is left stays held; with nothing left it is over."""
        decision = self._docket.decide()
        if left.shares:
            self._replies.changed(decision, left, "reduced", lost_device_id=lost.device_id)
        else:
            self._holding.over(decision, left, "reduced", now_ms, lost_device_id=lost.device_id)

    def _elsewhere(self, left: AllocationRecord, lost: Share) -> Share | None:
        """One device that has room for all of the share, and none of the allocation yet."""
        wanted = left.requirements
        taken = {lost.device_id, *(share.device_id for share in left.shares)}
        demand = demand_of(wanted, requester=left.requester_id, patron=left.patron)
        terms = demand.terms._replace(exclude=demand.terms.exclude | taken)
        alone = demand._replace(need=amounts_of(lost), terms=terms, devices=1)
        offer = best_fit(alone, self._ledger.stock) if self._ceilings.admits(alone) else None
        return offer.share(amounts_of(lost)) if offer is not None else None


def _adds_up(left: AllocationRecord, found: Share) -> bool:
    """Whether no other share was lost for good before."""
    need: Requirements = left.requirements
    shares = [*left.shares, found]
    return (
        sum(share.allocated_cpu for share in shares) >= need.cpu
        and sum(share.allocated_memory for share in shares) >= need.memory
        and sum(share.allocated_storage for share in shares) >= need.storage
        and any(share.allocated_gpu for share in shares) >= need.gpu
    )
