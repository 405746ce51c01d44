"""Holds every task that is not over, and makes each turn of its life true everywhere at once."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import msgspec

from rpn.codec import pack_record
from rpn.messages import TaskResultMessage, TaskStatus
from rpn.model import Requirements, TaskState
from rpn.store.commits import Decision
from rpn.store.records import Doing, Patron, StoredTask, TaskLife, TaskOutline
from scheduler import life as lives
from scheduler.accounting import charge
from scheduler.alarms import Alarms
from scheduler.amounts import Amounts
from scheduler.demand import Demand, demand_of_task
from scheduler.desk import Desk
from scheduler.life import Turn
from scheduler.queue import Queue, TaskKey, Usage
from scheduler.standing import OPEN
from scheduler.tally import Tally

TURNS_LIMIT = 10_000
"""submitters whose last turn is remembered"""
SHARED_LIMIT = 4096
"""different kinds of tasks that are remembered"""


class OpenTask:
    """One task that is not over."""

    __slots__ = ("alarm_ms", "demand", "key", "life", "record", "task", "told")

    def __init__(self, key: TaskKey, task: TaskOutline, life: TaskLife, demand: Demand) -> None:
        self.key = key
        self.task = task
        self.life = life
        self.demand = demand
        self.told = ""
        """the code of the reason that its submitter knows; `?` while it is to hear one"""
        self.alarm_ms = 0
        """when it must be looked after; 0: never"""
        self.record = b""
        """all of it, packed, while it is at hand"""

    @property
    def parent(self) -> TaskKey | None:
        """The task that this one belongs to, open or not; its own parent counts as none."""
        parent_id = self.task.parent_id
        return None if parent_id in (None, self.task.id) else (self.task.submitter_id, parent_id)

    @property
    def holding(self) -> str:
        """The attempt that has a reservation, if any."""
        return self.life.attempt if lives.active(self.life) else ""


class Shared:
    """What many tasks have alike, once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Requirements, Demand, Doing]] = {}

    def of(self, task: TaskOutline, patron: Patron | None) -> tuple[TaskOutline, Demand]:
        """The same task, of shared parts, and what it asks for."""
        kind = task.submitter_id, task.type, task.command, pack_record(task.requirements), patron
        known = self._known.get(kind)
        if known is None:
            if len(self._known) >= SHARED_LIMIT:
                self._known.clear()
            demand, doing = demand_of_task(task, patron), Doing(task.command or None)
            known = self._known[kind] = task.requirements, demand, doing
        requirements, demand, doing = known
        shared = msgspec.structs.replace(
            task,
            submitter_id=sys.intern(task.submitter_id),
            type=sys.intern(task.type),
            requirements=requirements,
            data=doing,
        )
        return shared, demand


class OpenTasks:
    """By (submitter, id), by attempt, and in the queue."""

    def __init__(self, desk: Desk) -> None:
        self.queue = Queue()
        self._ledger = desk.ledger
        self._ceilings = desk.ceilings
        self._courier = desk.courier
        self._settings = desk.settings
        self._counts = desk.counts
        self._tasks: dict[TaskKey, OpenTask] = {}
        self._by_attempt: dict[str, OpenTask] = {}
        self._used: dict[str, Tally] = {}
        self._reserved = Tally()
        self._turn = 0
        self._turns: dict[str, int] = {}
        """when each submitter had its turn, the latest last"""
        self._shared = Shared()
        self.alarms = Alarms[OpenTask]()
        self._resting: dict[TaskKey, int] = {}
        """tasks that were lost again and again, and until when they rest"""
        self._children: dict[TaskKey, dict[TaskKey, None]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def by_state(self) -> dict[TaskState, int]:
        """How many there are of each."""
        counted = Counter(task.life.state for task in self._tasks.values())
        return {state: counted[state] for state in OPEN}

    def get(self, key: TaskKey) -> OpenTask | None:
        return self._tasks.get(key)

    def of_attempt(self, attempt: str) -> OpenTask | None:
        """The task whose current attempt this is."""
        return self._by_attempt.get(attempt)

    def current(self, device_id: str, task_id: str, attempt: str) -> OpenTask | None:
        """The task, if this is its current attempt and that device's."""
        task = self._by_attempt.get(attempt)
        if task is None or task.task.id != task_id or task.life.device_id != device_id:
            return None
        return task

    def on_device(self, device_id: str) -> list[OpenTask]:
        """The tasks that this device has now."""
        holders = self._ledger.holders(device_id)
        return [self._by_attempt[holder] for holder in holders if holder in self._by_attempt]

    def family(self, task: OpenTask) -> list[OpenTask]:
        """This task and the open ones that belong to it, parents before their children."""
        found = {task.key: task}
        waiting = [task.key]
        while waiting:
            for key in self._children.get(waiting.pop(), ()):
                if key not in found:
                    found[key] = self._tasks[key]
                    waiting.append(key)
        return list(found.values())

    def rested(self, now_ms: int) -> None:
        """Let those wait for a device again that have rested enough."""
        for key in [key for key, ready_ms in self._resting.items() if ready_ms <= now_ms]:
            del self._resting[key]
            self._enter(self._tasks[key], now_ms)

    def next_ms(self) -> int | None:
        """When something is due here: an alarm, or the end of a rest."""
        times = [*self._resting.values(), self.alarms.next_ms()]
        return min((at_ms for at_ms in times if at_ms is not None), default=None)

    @property
    def reserved(self) -> Amounts:
        """By all attempts together."""
        return self._reserved.amounts

    @property
    def queued(self) -> int:
        """How many no device has."""
        return len(self._tasks) - len(self._by_attempt)

    @property
    def resting(self) -> int:
        """How many of them were lost, and wait to be allowed to wait."""
        return len(self._resting)

    @property
    def active(self) -> int:
        """How many some device has."""
        return len(self._by_attempt)

    def usage(self, submitter_id: str) -> Usage:
        """The largest part of any dimension of the pool that its tasks have, how many run, its last turn."""
        used, turn = self._used.get(submitter_id), self._turns.get(submitter_id, 0)
        return (used.part_of(self._ledger.total), used.count, turn) if used else (0.0, 0, turn)

    def served(self, submitter_id: str) -> None:
        """It had its turn: among those that have as little, the others come first."""
        self._turn += 1
        self._turns.pop(submitter_id, None)
        self._turns[submitter_id] = self._turn
        if len(self._turns) > TURNS_LIMIT:
            del self._turns[next(iter(self._turns))]

    def add(self, stored: StoredTask, now_ms: int) -> OpenTask:
        """A task as the store has it."""
        outline, demand = self._shared.of(stored.task, stored.life.patron)
        task = OpenTask((outline.submitter_id, outline.id), outline, stored.life, demand)
        self._tasks[task.key] = task
        if task.parent is not None:
            self._children.setdefault(task.parent, {})[task.key] = None
        self._enter(task, now_ms)
        self._set_alarm(task, now_ms)
        return task

    def move(self, decision: Decision, task: OpenTask, turn: Turn, now_ms: int) -> None:
        """Let a task's life take this turn: in memory, in the store, and for its submitter."""
        before = task.life
        self._become(task, turn.life, now_ms)
        if lives.active(before) and not lives.active(turn.life):
            charge(
                decision,
                device_id=before.device_id,
                submitter_id=task.task.submitter_id,
                amounts=task.demand.need,
                since_ms=before.assigned_ms,
                until_ms=now_ms,
            )
        if turn.life.state.final:
            self._end(decision, task, turn.outcome)
        else:
            decision.keep_life(*task.key, turn.life)
            if (before.state, before.ending) != (turn.life.state, turn.life.ending):
                self._set_alarm(task, now_ms)
        if turn.life.state is not before.state:
            self._tell_state(decision, task)

    def move_back(self, task: OpenTask, life: TaskLife, now_ms: int) -> None:
        """The store skipped the turn that followed `life`: in memory, it was not taken."""
        self._become(task, life, now_ms)
        self._set_alarm(task, now_ms)

    def tells(self, task: OpenTask) -> bool:
        """Whether its submitter wants to hear of it before it is over."""
        return not task.life.called and self._courier.follows(task.task.submitter_id)

    def _tell_state(self, decision: Decision, task: OpenTask) -> None:
        """To its submitter, if that opted in."""
        if not self.tells(task):
            return
        life = task.life
        status = TaskStatus(
            task_id=task.task.id,
            state=life.state,
            device_id=life.device_id or None,
            attempts=life.attempts,
        )
        self._courier.tell(decision, task.task.submitter_id, status)

    def _end(self, decision: Decision, task: OpenTask, outcome: bytes) -> None:
        del self._tasks[task.key]
        self._leave_parent(task)
        self.alarms.set(task, 0)
        decision.end_life(*task.key, task.life, outcome, retention_s=self._settings.task_retention_s)
        self._counts.tasks_ended[task.life.state] += 1
        if task.life.called:
            return
        result = TaskResultMessage(task_id=task.task.id, result=msgspec.Raw(outcome))
        self._courier.bring(decision, task.task.submitter_id, result, inbox_id=f"task:{task.task.id}")

    def _leave_parent(self, task: OpenTask) -> None:
        siblings = self._children.get(task.parent) if task.parent is not None else None
        if task.parent is not None and siblings is not None:
            siblings.pop(task.key, None)
            if not siblings:
                del self._children[task.parent]

    def _become(self, task: OpenTask, life: TaskLife, now_ms: int) -> None:
        """Change a life, and with it the queue, the ledger and what the submitter has."""
        was, held = task.life, task.holding
        task.life = life
        if was.state is life.state and held == task.holding:
            return
        if held:
            self._count(task, -1)
            del self._by_attempt[held]
            self._ledger.release(held)
        else:
            self.queue.remove(task.key)
            self._resting.pop(task.key, None)
        self._enter(task, now_ms)

    def _enter(self, task: OpenTask, now_ms: int) -> None:
        """Into the ledger if a device has it, into the queue if it waits for one and may run."""
        life = task.life
        if task.holding:
            self._by_attempt[life.attempt] = task
            self._ledger.reserve(life.attempt, life.device_id, task.demand.need)
            self._count(task, 1)
        elif life.state is TaskState.QUEUED and lives.ready_ms(life) > now_ms:
            self._resting[task.key] = lives.ready_ms(life)
        elif life.state is TaskState.QUEUED:
            task.told = ""
            self.queue.add(
                task.key, priority=task.task.priority, demand=task.demand, submitted_ms=life.submitted_ms
            )

    def _count(self, task: OpenTask, sign: int) -> None:
        submitter_id, need = task.key[0], task.demand.need
        used = self._used.get(submitter_id)
        if used is None:
            used = self._used[submitter_id] = Tally()
        for tally in (used, self._reserved):
            (tally.add if sign > 0 else tally.take)(need)
        (self._ceilings.take if sign > 0 else self._ceilings.give)(task.demand.patron, need)
        if not used.count:
            del self._used[submitter_id]

    def _set_alarm(self, task: OpenTask, now_ms: int) -> None:
        at_ms = lives.alarm_ms(task.task, task.life, self._settings, now_ms=now_ms)
        self.alarms.set(task, at_ms or 0)
