"""All attempts of this agent: which it takes on, which it runs, what it tells the pool of them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.attempt import Attempt
from agent.config import AgentConfig
from agent.kinds import types
from agent.output import Telling
from agent.plan import failed, plan
from agent.results import RESEND_S, Results
from agent.spawner import WardenLost
from agent.workshop import Workshop, turn_of
from rpn.messages import (
    Acked,
    FinishedAttempt,
    FromServer,
    Message,
    RunningAttempt,
    TaskAssign,
    TaskCancelled,
    TaskProgressReport,
    TaskStarted,
)
from rpn.model import Outcome, TaskResult

log = logging.getLogger(__name__)

PARALLEL_LIMIT = 256
"""Attempts at work at once, but for those that only sleep; more wait for one to end."""
TELL_STARTED_S = 0.02
"""How long it may take until the pool hears that an attempt has begun."""
SEEN_LIMIT = 10_000
"""Attempts we remember, so that a second assignment of one is known as such."""


class Runner:
    """Takes messages by `heard`; `run` must be running meanwhile."""

    def __init__(
        self,
        workshop: Workshop,
        results: Results,
        config: AgentConfig,
        send: Callable[..., bool],
        *,
        refuse: Callable[[TaskAssign], TaskResult | None] = lambda _: None,
    ) -> None:
        self.busy = asyncio.Event()
        """set while there are attempts"""
        self.ended: Counter[str] = Counter()
        """attempts since the start, by outcome: `ok` or the code of the failure"""
        self._workshop = workshop
        self._results = results
        self._config = config
        self._send = send
        self._refuse = refuse
        self._group = asyncio.TaskGroup()
        self._attempts: dict[str, Attempt] = {}
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._untold: dict[str, Attempt] = {}
        """those that have begun, and nobody was told"""
        self._turns = asyncio.Semaphore(PARALLEL_LIMIT)
        self._turns_of: dict[str, asyncio.Semaphore] = {}

    @property
    def types(self) -> list[str]:
        """The types of tasks that this agent runs."""
        return types(self._config)

    @property
    def attempts(self) -> list[Attempt]:
        return list(self._attempts.values())

    @property
    def unacknowledged(self) -> int:
        """Results that no gateway has confirmed."""
        return len(self._results)

    async def run(self) -> None:
        async with self._group as group:
            group.create_task(self._workshop.serve())
            group.create_task(self._results.run())
            while True:
                await asyncio.sleep(RESEND_S)
                self._send_results(self._results.overdue(now_s=_now_s()))

    # --- what the owner says ------------------------------------------------------------------

    def suspend(self) -> None:
        """Let everything stand still until `resume`."""
        for attempt in self.attempts:
            self._group.create_task(attempt.suspend(self._workshop.spawner))

    def resume(self) -> None:
        for attempt in self.attempts:
            self._group.create_task(attempt.resume(self._workshop.spawner))

    def give_back(self, why: str) -> None:
        """End everything; the pool may run it elsewhere."""
        for attempt in self.attempts:
            self._stop(attempt, failed(Outcome.RETURNED, why))

    # --- what the pool says -------------------------------------------------------------------

    def heard(self, message: FromServer) -> None:
        """Take in a message; what is not about attempts is passed over."""
        if isinstance(message, TaskAssign):
            self._take_on(message)
        elif isinstance(message, TaskCancelled):
            self._cancel(message)
        elif isinstance(message, Acked):
            self._results.acknowledge(message.ids)

    def _take_on(self, assign: TaskAssign) -> None:
        if not self._is_new(assign.task_id, assign.attempt):
            if assign.attempt in self._results:
                self._send_results([assign.attempt])
            return
        planned = self._refuse(assign) or plan(assign, self._config)
        if isinstance(planned, TaskResult):
            self._report(assign.task_id, assign.attempt, planned)
            return
        attempt = Attempt(assign, planned, on_started=self._tell_started, on_progress=self._tell_progress)
        self._attempts[attempt.attempt] = attempt
        self.busy.set()
        self._group.create_task(self._live(attempt))

    def _is_new(self, task_id: str, attempt: str) -> bool:
        pair = (task_id, attempt)
        if pair in self._seen or attempt in self._results:
            return False
        self._seen[pair] = None
        if len(self._seen) > SEEN_LIMIT:
            self._seen.popitem(last=False)
        return True

    def _cancel(self, cancel: TaskCancelled) -> None:
        """Stop an attempt; one we never heard of is cancelled before it comes."""
        cancelled = failed(Outcome.CANCELLED, cancel.reason or "cancelled")
        attempt = self._attempts.get(cancel.attempt)
        if attempt is not None:
            self._stop(attempt, cancelled)
        elif cancel.attempt in self._results:
            self._send_results([cancel.attempt])
        elif self._is_new(cancel.task_id, cancel.attempt):
            self._report(cancel.task_id, cancel.attempt, cancelled)

    def _stop(self, attempt: Attempt, result: TaskResult) -> None:
        attempt.stop(result)
        if not attempt.begun:
            self._finish(attempt, result)

    # --- the life of an attempt ---------------------------------------------------------------

    async def _live(self, attempt: Attempt) -> None:
        async with self._turn_of(attempt):
            if attempt.attempt not in self._attempts:
                return  # cancelled while it waited
            try:
                result = await self._workshop.run(attempt)
            except WardenLost:
                raise
            except Exception:
                log.exception("attempt %s of task %s", attempt.attempt, attempt.task_id)
                result = failed(Outcome.EXIT, "the agent failed to run this; its log says why")
        self._finish(attempt, result, took_s=attempt.worked_s)

    @asynccontextmanager
    async def _turn_of(self, attempt: Attempt) -> AsyncIterator[None]:
        """Wait until so few of its kind run that it may, too."""
        turn = turn_of(attempt.plan)
        if turn is None:
            yield
            return
        name, limit = turn
        turns = self._turns_of.setdefault(name, asyncio.Semaphore(limit))
        async with turns, self._turns:
            yield

    def _finish(self, attempt: Attempt, result: TaskResult, *, took_s: float = 0.0) -> None:
        del self._attempts[attempt.attempt]
        untold = self._untold.pop(attempt.attempt, None)
        if untold is not None and not result.success:
            self._send(_started(attempt))  # who runs it again must know that it had begun
        if not self._attempts:
            self.busy.clear()
        self._report(attempt.task_id, attempt.attempt, result, took_s=took_s)

    # --- what the pool is told ----------------------------------------------------------------

    def _tell_started(self, attempt: Attempt) -> None:
        """Soon, and of all at once: what succeeds before that need not be told of twice."""
        if not self._untold:
            asyncio.get_running_loop().call_later(TELL_STARTED_S, self._tell_all_started)
        self._untold[attempt.attempt] = attempt

    def _tell_all_started(self) -> None:
        untold, self._untold = self._untold, {}
        self._send(*map(_started, untold.values()))

    def _tell_progress(self, attempt: Attempt, telling: Telling) -> None:
        report = TaskProgressReport(
            task_id=attempt.task_id,
            attempt=attempt.attempt,
            progress=telling.progress,
            log=telling.log or None,
        )
        self._send(report)

    def _report(self, task_id: str, attempt: str, result: TaskResult, *, took_s: float = 0.0) -> None:
        level = logging.DEBUG if result.success else logging.INFO
        log.log(level, "attempt %s of task %s: %s", attempt, task_id, result.code or "ok")
        self.ended[result.code or "ok"] += 1
        self._results.keep(FinishedAttempt(task_id, attempt, result), now_s=_now_s(), took_s=took_s)
        if not self._send_results([attempt]):
            self._results.secure()

    def _send_results(self, attempts: list[str]) -> bool:
        """Have results sent; False when there is no connection."""
        now_s = _now_s()
        return self._send(*(self._results.message(attempt, now_s=now_s) for attempt in attempts))

    def for_register(self) -> tuple[list[RunningAttempt], list[FinishedAttempt]]:
        """All attempts we run, and the results nobody has yet."""
        finished, later = self._results.for_register(now_s=_now_s())
        running = [RunningAttempt(attempt.task_id, attempt.attempt) for attempt in self.attempts]
        return running + later, finished

    def online(self) -> None:
        """After a register: say what it could not, and what the last connection may have lost."""
        started: list[Message] = [_started(attempt) for attempt in self.attempts if attempt.begun]
        self._send(*started)
        self._send_results(self._results.overdue(now_s=_now_s()))


def _started(attempt: Attempt) -> TaskStarted:
    return TaskStarted(task_id=attempt.task_id, attempt=attempt.attempt)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
