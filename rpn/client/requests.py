"""Resource requests that wait for their answer, and what to give back of those nobody waits for."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from rpn.messages import Message, ResourceAllocation, ResourceRequest
from rpn.model import Requirements

ANSWERED_LIMIT = 10_000
"""Past requests that we remember."""


class Asked:
    """One request; its id lets it be asked again after a lost connection."""

    def __init__(
        self, device_id: str, requirements: Requirements, *, ttl_s: float | None, dry_run: bool
    ) -> None:
        self.id = str(uuid.uuid4())
        self.message = ResourceRequest(
            device_id=device_id,
            requirements=requirements,
            ttl_s=ttl_s,
            dry_run=dry_run,
            request_id=self.id,
        )
        self.answer: asyncio.Future[ResourceAllocation] = asyncio.get_running_loop().create_future()

    @property
    def granted(self) -> str:
        """The allocation it got; empty if it has none."""
        if not self.answer.done() or self.answer.cancelled() or self.answer.exception():
            return ""
        return self.answer.result().allocation.id


class Asking:
    """Every request that is open, and for those past which allocation they got."""

    def __init__(self) -> None:
        self._open: dict[str, Asked] = {}
        self._past: dict[str, str] = {}

    @contextmanager
    def of(self, asked: Asked) -> Iterator[None]:
        """While the block lasts, `asked` waits."""
        self._open[asked.id] = asked
        try:
            yield
        finally:
            del self._open[asked.id]
            self._past[asked.id] = asked.granted
            if len(self._past) > ANSWERED_LIMIT:
                del self._past[next(iter(self._past))]

    def again(self) -> list[Message]:
        """All that a lost connection may have lost."""
        return [asked.message for asked in self._open.values()]

    def message(self, request_id: str) -> Message | None:
        asked = self._open.get(request_id)
        return asked.message if asked is not None else None

    def answered(self, message: ResourceAllocation) -> bool:
        """Take an answer; True if its allocation is to be given back.

        Requests that a lost connection left open are made again, and may be answered twice.
        """
        request_id, allocation_id = message.request_id or "", message.allocation.id
        asked = self._open.get(request_id)
        if asked is not None and not asked.answer.done():
            asked.answer.set_result(message)
            return False
        if message.dry_run or not message.allocation.fulfilled:
            return False
        got = asked.granted if asked is not None else self._past.get(request_id)
        return got is not None and got != allocation_id

    def refused(self, request_id: str, error: Exception) -> bool:
        """Tell whoever waits; False if it was no request of ours."""
        asked = self._open.get(request_id)
        if asked is not None and not asked.answer.done():
            asked.answer.set_exception(error)
        return asked is not None
