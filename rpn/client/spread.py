"""Spreads many calls of one function over a pool: short ones travel together, long ones alone.

A task costs the pool far more than a call that does next to nothing, and a task of many calls keeps
one device busy while others wait. So the first calls go alone, and what they took says how many of
the next make a task. If nothing comes home although devices are at work, calls are long: they go in
smaller tasks, and twice as many at a time. Near the end tasks become small again, so that all devices
end together.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from rpn.client import chunks
from rpn.client.future import Future
from rpn.model import Task

AT_ONCE = 16
"""tasks under way at first; one more with each that was mostly at work, not on its way"""
CHUNK_S = 0.05
"""how long the calls of one task should take"""
CHUNK_LIMIT = 256
"""calls in one task"""
GROWTH = 8
"""by how much a task may be larger than the one whose calls were timed"""
PATIENCE_S = 0.5
"""if nothing comes home for so long while some are at work, calls are longer than was thought"""

Cancel = Callable[[Task], None]


class Member(Future):
    """One call; it may share its task with others."""

    def __init__(self, args: tuple[Any, ...], cancel: Cancel) -> None:
        super().__init__(cancel, chunks.read)
        self.args_ = args
        self.chunk: Chunk | None = None
        self._cancel_task = cancel

    def cancel(self) -> bool:
        """As in the standard library; the task ends when nobody wants any of its calls."""
        if not concurrent.futures.Future.cancel(self):
            return False
        self.state = "cancelled"
        self._let_go()
        return True

    def stop(self) -> None:
        """Stop the call if it runs alone; with others it goes on, and its result is dropped."""
        if not self.cancel() and not self.done():
            self._let_go()

    def _let_go(self) -> None:
        chunk = self.chunk
        if chunk is not None and all(member.done() or member is self for member in chunk.members):
            self._cancel_task(chunk.task)


class Chunk(Future):
    """One task, and the calls that it carries."""

    def __init__(self, members: list[Member], cancel: Cancel, read: Callable[[Any], Any]) -> None:
        super().__init__(cancel, read)
        self.members = members
        self.sent_s = monotonic()

    def changed(self, state: str) -> None:
        super().changed(state)
        if state == "running":
            for member in self.members:
                member.changed(state)

    def told(self, progress: float | None, log: str | None) -> None:
        for member in self.members:
            member.told(progress, log)


class Spread:
    """All calls of one `map`; `run` sends them, in a thread of its own."""

    def __init__(
        self, members: Sequence[Member], send: Callable[[list[Member]], Chunk], *, size: int
    ) -> None:
        """`size` calls make a task; 0: as many as turns out well."""
        self._waiting = deque(members)
        self._alone: deque[Member] = deque()
        """calls of tasks that failed as a whole"""
        self._send = send
        self._fixed = size
        self._size = size or 1
        self._at_once = AT_ONCE
        self._under_way = 0
        self._sent: set[Chunk] = set()
        self._news = threading.Condition()

    def run(self) -> None:
        """Send until every call has its outcome."""
        while (members := self._next()) is not None:
            if members:
                chunk = self._send(members)
                for member in members:
                    member.chunk = chunk
                with self._news:
                    self._sent.add(chunk)
                chunk.add_done_callback(self._ended)

    def _next(self) -> list[Member] | None:
        """The calls of the next task; None when all is done."""
        with self._news:
            while not self._may_send():
                if not (self._waiting or self._alone or self._under_way):
                    return None
                heard = self._news.wait(PATIENCE_S if self._waiting else None)
                if not heard and any(chunk.state == "running" for chunk in self._sent):
                    self._size, self._at_once = max(1, self._size // GROWTH), self._at_once * 2
            self._under_way += 1
            members = self._take()
            self._under_way -= not members
            return members

    def _may_send(self) -> bool:
        return bool(self._alone or self._waiting) and self._under_way < self._at_once

    def _take(self) -> list[Member]:
        if self._alone:
            member = self._alone.popleft()
            return [] if member.done() else [member]
        size = self._fixed or max(1, min(self._size, -(-len(self._waiting) // self._at_once)))
        taken = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        return [member for member in taken if not member.done()]

    def _ended(self, chunk: concurrent.futures.Future[Any]) -> None:
        """A task is over; what failed with it though it need not have goes again, alone."""
        assert isinstance(chunk, Chunk)  # noqa: S101 - it is one of ours
        again: list[Member] = []
        took_s: float | None = None
        try:
            took_s, outcomes = chunk.result()
        except BaseException as error:
            if len(chunk.members) > 1:
                again = [member for member in chunk.members if not member.done()]
            else:
                chunk.members[0].refuse(error if isinstance(error, Exception) else RuntimeError(str(error)))
        else:
            for member, outcome in zip(chunk.members, outcomes, strict=True):
                member.settle(outcome)
        with self._news:
            self._under_way -= 1
            self._sent.discard(chunk)
            self._alone.extend(again)
            if took_s is not None:
                self._learn(len(chunk.members), took_s, monotonic() - chunk.sent_s)
            self._news.notify()

    def _learn(self, calls: int, took_s: float, away_s: float) -> None:
        each_s = max(took_s / calls, 1e-7)
        self._size = max(1, min(int(CHUNK_S / each_s), calls * GROWTH, CHUNK_LIMIT))
        if took_s > away_s / 2:
            self._at_once += 1
