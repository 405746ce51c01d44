"""Tells how the pool stands: the whole with the commits, one device when a caller asks."""

from __future__ import annotations

from rpn.codec import encode, pack_record
from rpn.model import DeviceLoad, HeldShare, PoolStanding, RunningTask, Share, Sum
from rpn.store.records import HoldersEntry
from scheduler.amounts import NOTHING, Amounts
from scheduler.desk import Desk
from scheduler.holdings import Holdings
from scheduler.open_tasks import OpenTasks

QUIET_MS = 1000
"""how often at most measurements alone make us write how the pool stands"""


class Overview:
    """Looks at everything, changes nothing."""

    def __init__(self, desk: Desk, held: Holdings, tasks: OpenTasks) -> None:
        self._ledger = desk.ledger
        self._docket = desk.docket
        self._held = held
        self._tasks = tasks
        self._told = PoolStanding()
        self._told_ms = 0

    def stand(self, now_ms: int) -> None:
        """Write down how the pool stands, if that has changed: with what is decided, now and then alone."""
        if not self._docket and now_ms - self._told_ms < QUIET_MS:
            return
        standing = self._standing(now_ms)
        if standing != self._told:
            self._docket.decide().stand(pack_record(standing))
            self._told, self._told_ms = standing, now_ms

    def device(self, entry_id: str, entry: HoldersEntry) -> None:
        """Answer who holds what on a device."""
        decision = self._docket.decide()
        decision.request_processed(entry_id)
        decision.answer(entry.call, encode(self._load(entry.device_id)))

    def _standing(self, now_ms: int) -> PoolStanding:
        return PoolStanding(
            allocated=_sum(self._held.reserved.plus(self._tasks.reserved)),
            free=_sum(self._ledger.stock.free),
            allocations=len(self._held),
            queued=self._tasks.queued,
            running=self._tasks.active,
        )

    def _load(self, device_id: str) -> DeviceLoad:
        offer = self._ledger.offers.get(device_id)
        taken = list(self._ledger.holders(device_id).values())
        return DeviceLoad(
            allocated=_sum(Amounts(*map(sum, zip(*taken, strict=True))) if taken else NOTHING),
            free=_sum(offer.shown if offer is not None else NOTHING),
            allocations=[
                HeldShare(record.id, record.requester_id, _of(device_id, record.shares))
                for record in self._held.on_device(device_id)
            ],
            tasks=[
                RunningTask(each.task.id, each.task.submitter_id, each.life.attempt, each.life.state)
                for each in self._tasks.on_device(device_id)
            ],
        )


def _of(device_id: str, shares: list[Share]) -> Share:
    return next(share for share in shares if share.device_id == device_id)


def _sum(amounts: Amounts) -> Sum:
    return Sum(*amounts)
