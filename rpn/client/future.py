"""A task on its way, for programs that wait: the standard library's Future, and what the pool tells of it."""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Callable
from typing import Any

from rpn.client.refusals import TaskFailed
from rpn.client.submission import LOG_LIMIT
from rpn.model import Task


class Future(concurrent.futures.Future[Any]):
    """As in concurrent.futures; `cancel` also reaches a task that runs, on the device where it runs."""

    task: Task

    def __init__(self, cancel: Callable[[Task], None], read: Callable[[Any], Any]) -> None:
        """`cancel` ends a task in the pool; `read` gives or raises what an outcome means."""
        super().__init__()
        self.state = "submitted"
        """then queued, assigned, running and at last succeeded, failed, cancelled or expired"""
        self.progress: float | None = None
        """0 to 1, if the task tells"""
        self._log: deque[str] = deque(maxlen=LOG_LIMIT)
        self._end = cancel
        self._read = read

    @property
    def log(self) -> str:
        """What the task has printed so far, the latest part of it."""
        return "".join(self._log)

    def cancel(self) -> bool:
        """Stop the task; False if it runs or is over, as in the standard library (see `stop`)."""
        if not super().cancel():
            return False
        self.state = "cancelled"
        self._end(self.task)
        return True

    def stop(self) -> None:
        """Stop the task even if it runs; `result` then raises TaskFailed with code CANCELLED."""
        if not self.cancel() and not self.done():
            self._end(self.task)

    # --- the pool's side ----------------------------------------------------------------------

    def changed(self, state: str) -> None:
        if self.done():
            return
        self.state = state
        if state == "running" and not self.running():
            self.set_running_or_notify_cancel()

    def told(self, progress: float | None, log: str | None) -> None:
        if progress is not None:
            self.progress = progress
        if log:
            self._log.append(log)

    def settle(self, outcome: object) -> None:
        """Take the outcome: `{success: true, result}` or `{success: false, error, code}`."""
        try:
            value = self._read(outcome)
        except Exception as error:
            self.refuse(error)
        else:
            self._over("succeeded", lambda: self.set_result(value))

    def refuse(self, error: Exception) -> None:
        state = error.state if isinstance(error, TaskFailed) else "failed"
        self._over(state, lambda: self.set_exception(error))

    def _over(self, state: str, tell: Callable[[], None]) -> None:
        try:
            tell()
            self.state = state
        except concurrent.futures.InvalidStateError:
            return  # cancelled meanwhile: nobody waits
