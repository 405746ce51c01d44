"""A task on its way, for asyncio: its state, its progress, what it printed, its result."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from rpn.client.refusals import TaskFailed
from rpn.model import Task

LOG_LIMIT = 1000
"""Pieces of log that are kept of one task."""


class Submission:
    """Await it for the task's result. Raises TaskFailed, or why it was refused."""

    def __init__(self, task: Task, cancel: Callable[[Task], None], read: Callable[[Any], Any]) -> None:
        """`cancel` ends the task; `read` gives or raises what an outcome means."""
        self.task = task
        self.state = "submitted"
        """then queued, assigned, running and at last succeeded, failed, cancelled or expired"""
        self.progress: float | None = None
        """0 to 1, if the task tells"""
        self._log: deque[str] = deque(maxlen=LOG_LIMIT)
        self._followers: set[asyncio.Queue[str]] = set()
        self._cancel = cancel
        self._read = read
        self._result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._result.add_done_callback(_looked_at)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.shield(self._result).__await__()

    @property
    def id(self) -> str:
        return self.task.id

    @property
    def log(self) -> str:
        """What the task has printed so far, the latest part of it."""
        return "".join(self._log)

    def done(self) -> bool:
        return self._result.done()

    def cancel(self) -> None:
        """Stop the task wherever it is; awaiting it raises TaskFailed with code CANCELLED."""
        if not self.done():
            self.state = "cancelling"
            self._cancel(self.task)

    async def follow(self) -> AsyncIterator[str]:
        """What the task prints, piece by piece as it comes, until it ends."""
        pieces: asyncio.Queue[str] = asyncio.Queue()
        for piece in self._log:
            pieces.put_nowait(piece)
        self._followers.add(pieces)
        try:
            while not (self.done() and pieces.empty()):
                piece = await pieces.get()
                if piece:
                    yield piece
        finally:
            self._followers.discard(pieces)

    # --- the pool's side ----------------------------------------------------------------------

    def changed(self, state: str) -> None:
        if self.state != "cancelling" and not self.done():
            self.state = state

    def told(self, progress: float | None, log: str | None) -> None:
        if progress is not None:
            self.progress = progress
        if log:
            self._log.append(log)
            self._tell_followers(log)

    def settle(self, outcome: object) -> None:
        """Take the outcome: `{success: true, result}` or `{success: false, error, code}`."""
        if self._result.done():
            return
        try:
            value = self._read(outcome)
        except Exception as error:
            self.refuse(error)
        else:
            self.state = "succeeded"
            self._result.set_result(value)
            self._tell_followers("")

    def refuse(self, error: Exception) -> None:
        if not self._result.done():
            self.state = error.state if isinstance(error, TaskFailed) else "failed"
            self._result.set_exception(error)
            self._tell_followers("")

    def _tell_followers(self, piece: str) -> None:
        """An empty piece wakes them at the end."""
        for pieces in self._followers:
            pieces.put_nowait(piece)


def _looked_at(future: asyncio.Future[Any]) -> None:
    """A result nobody awaits is no reason for a complaint."""
    if not future.cancelled():
        future.exception()
