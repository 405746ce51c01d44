"""Tells holders and callers what became of what they asked, each in the way it can take."""

from __future__ import annotations

from typing import Literal

from rpn.codec import encode
from rpn.errors import RPNError
from rpn.messages import AllocationUpdate, Error, Message, ResourceAllocation
from rpn.model import Allocation, Reason, Share
from rpn.replica import iso
from rpn.store.commits import Decision
from rpn.store.records import AllocationRecord, ReleaseEntry, RenewEntry, RequestEntry
from scheduler.courier import Courier

Change = Literal["replaced", "reduced", "renewed", "released", "expired"]
Asked = ReleaseEntry | RenewEntry
"""what was asked about an allocation that exists"""


class Replies:
    """By way of the courier: to devices through their inboxes, to callers under their calls."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier

    def granted(self, decision: Decision, entry: RequestEntry, record: AllocationRecord) -> None:
        """Its shares are reserved."""
        answer = ResourceAllocation(
            allocation=record.allocation,
            request_id=entry.request_id,
            expires_at=record.expires_at if entry.explains else None,
        )
        self._answer(decision, entry, answer)

    def refused(self, decision: Decision, entry: RequestEntry, reason: Reason | None, now_ms: int) -> None:
        """Nothing is reserved; why, is told to those who can take it."""
        answer = ResourceAllocation(
            allocation=_allocation(entry, [], now_ms),
            request_id=entry.request_id,
            reason=reason if entry.explains else None,
            dry_run=entry.dry_run,
        )
        self._answer(decision, entry, answer)

    def tried(self, decision: Decision, entry: RequestEntry, shares: list[Share], now_ms: int) -> None:
        """A dry run: it would fit now, like this."""
        allocation = _allocation(entry, shares, now_ms)
        answer = ResourceAllocation(allocation=allocation, request_id=entry.request_id, dry_run=True)
        self._answer(decision, entry, answer)

    def done(self, decision: Decision, asked: Asked, record: AllocationRecord, change: Change) -> None:
        """To whoever asked for it; the holder is told, too, if that is somebody else."""
        update = _update(record, change, request_id=asked.request_id)
        if asked.call is not None:
            decision.answer(asked.call, encode(update))
            self.changed(decision, record, change)
        elif record.releases:
            self._bring(decision, record, update)

    def changed(
        self, decision: Decision, record: AllocationRecord, change: Change, *, lost_device_id: str = ""
    ) -> None:
        """To the holder, if it is a device that opted in."""
        if record.releases and not record.called:
            self._bring(decision, record, _update(record, change, lost_device_id=lost_device_id))

    def denied(self, decision: Decision, asked: Asked | RequestEntry, error: RPNError) -> None:
        """It cannot be done, and nothing has changed."""
        message = Error(error=str(error), code=error.code, request_id=asked.request_id)
        if asked.call is not None:
            decision.answer(asked.call, encode(message))
        else:
            self._courier.tell(decision, asked.device_id, message)

    def _answer(self, decision: Decision, entry: RequestEntry, answer: Message) -> None:
        if entry.call is not None:
            decision.answer(entry.call, encode(answer))
            return
        inbox_id = f"allocation:{entry.allocation_id}"
        self._courier.bring(decision, entry.device_id, answer, inbox_id=inbox_id, presence=entry.presence)

    def _bring(self, decision: Decision, record: AllocationRecord, update: AllocationUpdate) -> None:
        self._courier.bring(decision, record.requester_id, update, inbox_id=f"update:{record.id}")


def _allocation(entry: RequestEntry, shares: list[Share], now_ms: int) -> Allocation:
    return Allocation(
        entry.allocation_id, entry.device_id, iso(now_ms), entry.requirements, bool(shares), shares
    )


def _update(
    record: AllocationRecord, change: Change, *, lost_device_id: str = "", request_id: str | None = None
) -> AllocationUpdate:
    return AllocationUpdate(
        allocation=record.allocation,
        change=change,
        lost_device_id=lost_device_id or None,
        expires_at=record.expires_at if record.shares else None,
        request_id=request_id,
    )
