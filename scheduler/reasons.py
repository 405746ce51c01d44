"""Says why tasks wait: to submitters that opted in as soon as it changes, and to whoever asks."""

from __future__ import annotations

from collections import deque

import msgspec

from rpn.messages import TaskStatus
from rpn.model import Reason, TaskState
from rpn.store.records import ExplainEntry
from scheduler.demand import Demand
from scheduler.desk import Desk
from scheduler.open_tasks import OpenTask, OpenTasks
from scheduler.queue import TaskKey
from scheduler.shortfall import explain

TOLD_LIMIT = 100
"""tasks whose submitters are told within `SPAN_MS`"""
SPAN_MS = 250
FRESH_MS = 1000
"""how long a reason that was found counts as what is so"""
PLACES_LIMIT = 2000
"""with more tasks than this in the queue, only who asks is told how many are before it"""

QUOTA = "QUOTA"
NOTHING = b"null"


class Reasons:
    """What is known of each demand that somebody waits with."""

    def __init__(self, desk: Desk, tasks: OpenTasks) -> None:
        self._ledger = desk.ledger
        self._ceilings = desk.ceilings
        self._docket = desk.docket
        self._courier = desk.courier
        self._tasks = tasks
        self._found: dict[Demand, tuple[int, Reason]] = {}
        self._untold: deque[TaskKey] = deque()
        self._told_ms = 0
        self._told = 0
        self._places: dict[TaskKey, int] | None = None
        """how many are before each, while several are told"""

    def of(self, demand: Demand, now_ms: int) -> Reason:
        """Why nobody has room for this demand, or why its token may not have any."""
        over = self._ceilings.reason(demand)
        if over is not None:
            return over
        at_ms, reason = self._found.get(demand, (-FRESH_MS, None))
        if reason is None or now_ms - at_ms >= FRESH_MS:
            reason = explain(demand, self._ledger.stock).reason
            self._found[demand] = now_ms, reason
        return reason

    def forget_all_but(self, demands: set[Demand]) -> None:
        """Nobody waits with any other."""
        for demand in self._found.keys() - demands:
            del self._found[demand]

    def waits(self, task: OpenTask, *, over: bool) -> None:
        """No device has room for it now, or its token has its share: its submitter may want to know."""
        known = task.told == "?" or (task.told and over == (task.told == QUOTA))
        if not known and self._tasks.tells(task):
            task.told = "?"
            self._untold.append(task.key)

    def changed(self, demand: Demand) -> None:
        """What was a matter of time is hopeless now, or the other way round."""
        self._found.pop(demand, None)
        for key in self._tasks.queue.waiting_with(demand):
            task = self._tasks.get(key)
            if task is not None and self._tasks.tells(task):
                self._untold.append(key)

    def tell(self, now_ms: int) -> None:
        """Tell who is to be told, as many as may be now."""
        if now_ms - self._told_ms >= SPAN_MS:
            self._told_ms, self._told = now_ms, 0
        self._places = None
        while self._untold and self._told < TOLD_LIMIT:
            task = self._tasks.get(self._untold.popleft())
            if task is not None and task.key in self._tasks.queue:
                self._tell(task, now_ms)

    def next_ms(self) -> int | None:
        """When more may be told."""
        return self._told_ms + SPAN_MS if self._untold else None

    def answer(self, entry_id: str, entry: ExplainEntry, now_ms: int) -> None:
        """Somebody asks why a task waits."""
        decision = self._docket.decide()
        decision.task_entry_processed(entry_id)
        task = self._tasks.get((entry.submitter_id, entry.task_id))
        if task is None or task.key not in self._tasks.queue:
            decision.answer(entry.call, NOTHING)
        else:
            decision.answer(entry.call, msgspec.json.encode(self._placed(task, now_ms)))

    def _tell(self, task: OpenTask, now_ms: int) -> None:
        reason = self.of(task.demand.alike, now_ms)
        if reason.code == task.told:
            return
        if len(self._tasks.queue) <= PLACES_LIMIT:
            if self._places is None:
                self._places = self._tasks.queue.positions()
            reason = msgspec.structs.replace(reason, queue_position=self._places[task.key])
        task.told = reason.code
        self._told += 1
        status = TaskStatus(
            task_id=task.task.id, state=TaskState.QUEUED, attempts=task.life.attempts, reason=reason
        )
        self._courier.tell(self._docket.note(), task.task.submitter_id, status)

    def _placed(self, task: OpenTask, now_ms: int) -> Reason:
        """The reason, and how many are before it."""
        position = self._tasks.queue.position(task.key)
        return msgspec.structs.replace(self.of(task.demand.alike, now_ms), queue_position=position)
