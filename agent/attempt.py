"""One attempt at one task: who it is, how it is stopped, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.output import Telling
from agent.plan import Plan, failed
from agent.spawner import Spawned, Spawner
from rpn.messages import TaskAssign
from rpn.model import Outcome, TaskResult

T = TypeVar("T")


class Stopped(Exception):
    """The attempt has its verdict: whatever is under way for it is not needed any more."""


class Attempt:
    """`stop` may be called at any time; what works for the attempt then ends with the result given there."""

    def __init__(
        self,
        assign: TaskAssign,
        plan: Plan,
        *,
        on_started: Callable[[Attempt], None],
        on_progress: Callable[[Attempt, Telling], None],
    ) -> None:
        self.task_id = assign.task_id
        self.attempt = assign.attempt
        self.plan = plan
        self.requirements = assign.requirements
        self.pid: int | None = None
        """of the process that works for it now"""
        self.cpu_before_s = 0.0
        """what that process had used before"""
        self._began_s = 0.0
        self.begun = False
        """False while it waits for its turn"""
        self.verdict: TaskResult | None = None
        """the result that it was stopped with"""
        self._on_started = on_started
        self._on_progress = on_progress
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._spawned: Spawned | None = None
        self._suspended = False

    def stop(self, result: TaskResult) -> None:
        """Kill what runs; `result` is the outcome, unless there is one already."""
        if self.verdict is None:
            self.verdict = result
            self._stopped.set_result(None)

    def stop_late(self) -> None:
        """Stop it because its time is over."""
        self.stop(failed(Outcome.TIMEOUT, f"ran longer than {self.plan.timeout_s:g} s"))

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """The outcome of `work`. Raises Stopped; a future then goes on, a coroutine is cancelled."""
        future = asyncio.ensure_future(work)
        try:
            await self._either(future)
            if self.verdict is not None:
                raise Stopped
            return future.result()
        finally:
            if future is not work and not future.done():
                future.cancel()
                await asyncio.wait((future,))

    async def its(self, future: asyncio.Future[T]) -> T:
        """The outcome of a future that nobody else waits for; both raise Stopped once it is."""

        def stop(_: object) -> None:
            if not future.done():
                future.set_exception(Stopped())

        self._stopped.add_done_callback(stop)
        try:
            outcome = await future
        finally:
            self._stopped.remove_done_callback(stop)
        if self.verdict is not None:
            raise Stopped
        return outcome

    async def _either(self, future: asyncio.Future[T]) -> None:
        """Until it is done, or the attempt is stopped: what asyncio.wait does, at a tenth of the cost."""
        if future.done() or self._stopped.done():
            return
        either = asyncio.get_running_loop().create_future()

        def wake(_: object) -> None:
            if not either.done():
                either.set_result(None)

        for each in (future, self._stopped):
            each.add_done_callback(wake)
        try:
            await either
        finally:
            for each in (future, self._stopped):
                each.remove_done_callback(wake)

    async def suspend(self, spawner: Spawner) -> None:
        """Let it stand still, from its start if it has not begun."""
        self._suspended = True
        if self._spawned is not None:
            await spawner.suspend(self._spawned)

    async def resume(self, spawner: Spawner) -> None:
        """Let it go on."""
        self._suspended = False
        if self._spawned is not None:
            await spawner.resume(self._spawned)

    async def works(self, spawned: Spawned, spawner: Spawner, *, cpu_before_s: float = 0.0) -> None:
        """From now on this process works for it; a warm one has used so much of the processors before."""
        self.pid, self._spawned = spawned.started.result(), spawned
        self.cpu_before_s = cpu_before_s
        if self._suspended:
            await spawner.suspend(spawned)
        self.started()

    def started(self) -> None:
        """It has begun in earnest."""
        self._began_s = asyncio.get_running_loop().time()
        self._on_started(self)

    @property
    def worked_s(self) -> float:
        """How long it has been at work, if it has begun in earnest."""
        return asyncio.get_running_loop().time() - self._began_s if self._began_s else 0.0

    def rests(self) -> None:
        """No process works for it any more."""
        self.pid = self._spawned = None

    def tell(self, telling: Telling) -> None:
        """Pass on how far it is, or what it printed."""
        self._on_progress(self, telling)
