"""A pool client's side of its connection: what is open, what was heard, what must be said again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any

from rpn.client import calls
from rpn.client.api import Api
from rpn.client.device import Device as DeviceLink
from rpn.client.link import GREETING_ID, Greeting, Link
from rpn.client.mirror import Change, Mirror
from rpn.client.outstanding import Claim, Outstanding, submit
from rpn.client.refusals import TaskFailed, exception_of
from rpn.client.requests import Asked, Asking
from rpn.errors import NotAllowed, RPNError, Unavailable
from rpn.messages import (
    Ack,
    AllocationUpdate,
    Error,
    FromServer,
    Message,
    Register,
    ResourceAllocation,
    ResourceRelease,
    TaskProgress,
    TaskResultMessage,
    TaskStatus,
)
from rpn.model import Outcome, Task

RETRY_S = 2.0
"""After `Unavailable` a task or request is sent again within this time."""


class Conversation:
    """Lasts through lost connections: ids make it safe to say again what is open."""

    def __init__(self, servers: list[str], greeting: Greeting, *, token: str, api: Callable[[], Api]) -> None:
        """`api` opens a connection for what is larger than a message."""
        self.mirror = Mirror()
        self.listed = asyncio.Event()
        """the first list of devices has come"""
        self.watchers: set[asyncio.Queue[Change]] = set()
        self.holds: dict[str, Callable[[AllocationUpdate], None]] = {}
        """who wants to know when an allocation changes"""
        self.refusal: RPNError | None = None
        """why the last gateway that we greeted does not want us"""
        self._turned_away = asyncio.Event()
        """no gateway will ever take us, as we are"""
        self._asking = Asking()
        self._outstanding = Outstanding()
        self._received: list[str] = []
        self._api = api
        self._fetching: set[asyncio.Task[None]] = set()
        """values on their way that were too large for a message"""
        if isinstance(greeting, Register):
            self._link: Link | DeviceLink = DeviceLink(
                servers, lambda: greeting, self._heard, on_online=self._online, token=token
            )
        else:
            self._link = Link(servers, lambda: greeting, self._heard, on_online=self._online, token=token)

    @property
    def online(self) -> asyncio.Event:
        return self._link.online

    @property
    def fault(self) -> str:
        """Why there was no connection to the gateway that we tried last and did not reach."""
        return self._link.fault

    async def run(self) -> None:
        await self._link.run()

    async def welcomed(self) -> None:
        """Return when a gateway has taken us in. Raises why none ever will."""
        ends = [asyncio.ensure_future(each.wait()) for each in (self.online, self._turned_away)]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
        if self.refusal is not None and not self.online.is_set():
            raise self.refusal

    def send(self, message: Message) -> None:
        """Say it now, or not at all if there is no connection."""
        self._link.send(message)

    async def ask(self, asked: Asked) -> ResourceAllocation:
        """Make a request, and wait for its answer."""
        with self._asking.of(asked):
            self._link.send(asked.message)
            return await asked.answer

    def claim(self, task_id: str) -> Claim | None:
        """Whoever waits for this task."""
        return self._outstanding.get(task_id)

    def enter(self, claims: Iterable[Claim]) -> None:
        """Have the pool run these tasks."""
        for claim in claims:
            self._outstanding.add(claim)
        self._link.send(*self._outstanding.due())

    def cancel(self, task: Task) -> None:
        """Stop a task of ours; one the pool has not heard of ends here."""
        claim = self._outstanding.get(task.id)
        message = self._outstanding.cancel(task.id)
        if message is not None:
            self._link.send(message)
        elif claim is not None:
            claim.refuse(TaskFailed("cancelled by its submitter", Outcome.CANCELLED))

    def give_up(self) -> None:
        """Nobody will hear of the outcomes that are open."""
        for fetching in self._fetching:
            fetching.cancel()
        for claim in self._outstanding.claims():
            claim.refuse(TaskFailed("the pool was closed before its outcome was known", "UNKNOWN"))

    # --- what is heard ------------------------------------------------------------------------

    def _online(self) -> None:
        """Say again what is open: the ids make that safe."""
        self._link.send(*self._asking.again(), *self._outstanding.again(), *self._outstanding.due())

    def _heard(self, message: FromServer) -> None:
        handler = self._HANDLERS.get(type(message))
        if handler is not None:
            handler(self, message)
            return
        change = self.mirror.apply(message)
        if self.mirror.complete:
            self.listed.set()
        if change is not None:
            for watcher in self.watchers:
                watcher.put_nowait(change)

    def _acknowledge(self, subject: str) -> None:
        """Tell that an answer has come; all of one frame are told together."""
        if not self._received:
            asyncio.get_running_loop().call_soon(self._acknowledge_all)
        self._received.append(subject)

    def _acknowledge_all(self) -> None:
        received, self._received = self._received, []
        self._link.send(Ack(ids=received), *self._outstanding.due())

    def _allocated(self, message: ResourceAllocation) -> None:
        self._acknowledge(message.allocation.id)
        if self._asking.answered(message):
            self._link.send(ResourceRelease(allocation_id=message.allocation.id))

    def _held_changed(self, message: AllocationUpdate) -> None:
        self._acknowledge(message.allocation.id)
        updated = self.holds.get(message.allocation.id)
        if updated is not None:
            updated(message)

    def _finished(self, message: TaskResultMessage) -> None:
        self._acknowledge(message.task_id)
        claim = self._outstanding.ended(message.task_id)
        if claim is None:
            return
        if calls.blob_of(message.result):
            fetching = asyncio.ensure_future(self._fetch(claim, message.result))
            self._fetching.add(fetching)
            fetching.add_done_callback(self._fetching.discard)
        else:
            claim.settle(message.result)

    async def _fetch(self, claim: Claim, outcome: Any) -> None:
        """Settle with a value that is a blob."""
        try:
            claim.settle(await asyncio.to_thread(calls.with_value, outcome, self._api))
        except RPNError as error:
            claim.refuse(error)

    def _changed(self, message: TaskStatus) -> None:
        claim = self._outstanding.get(message.task_id)
        if claim is not None:
            claim.changed(message.state)

    def _progressed(self, message: TaskProgress) -> None:
        claim = self._outstanding.get(message.task_id)
        if claim is not None:
            claim.told(message.progress, message.log)

    def _refused(self, message: Error) -> None:
        error = exception_of(message)
        subject = message.request_id or ""
        if subject == GREETING_ID:
            self.refusal = error
            if isinstance(error, NotAllowed):
                self._turned_away.set()
        elif isinstance(error, Unavailable):
            wait_s = RETRY_S * random.uniform(0.5, 1)
            asyncio.get_running_loop().call_later(wait_s, self._again, subject)
        elif not self._asking.refused(subject, error):
            claim = self._outstanding.ended(subject)
            if claim is not None:
                claim.refuse(error)

    def _again(self, subject: str) -> None:
        claim = self._outstanding.get(subject)
        message = submit(claim) if claim is not None else self._asking.message(subject)
        if message is not None:
            self._link.send(message)

    _HANDLERS: dict[type[Message], Callable[[Conversation, Any], None]] = {  # noqa: RUF012
        ResourceAllocation: _allocated,
        AllocationUpdate: _held_changed,
        TaskResultMessage: _finished,
        TaskStatus: _changed,
        TaskProgress: _progressed,
        Error: _refused,
    }
