"""Follows tasks through what submitters, agents and the pool say about them."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from rpn.codec import unpack_record
from rpn.messages import TaskCancelled
from rpn.model import Failure, Outcome, TaskState
from rpn.replica import Change
from rpn.store.commits import Decision
from rpn.store.keys import task_member
from rpn.store.records import (
    CancelEntry,
    DoneEntry,
    ProgressEntry,
    ReconcileEntry,
    StartedEntry,
    StoredTask,
    SubmitEntry,
    TaskLife,
    TaskOutline,
)
from scheduler import life as lives
from scheduler.desk import Desk
from scheduler.life import Turn
from scheduler.open_tasks import OpenTask, OpenTasks
from scheduler.orders import Orders
from scheduler.patience import Patience
from scheduler.poison import Poison, Poisoned
from scheduler.queue import TaskKey
from scheduler.shortfall import feasible

CLOCK_MS = 60_000
"""how far the mirror's clock may be from the store's"""
PATIENCE_MS = 2000
"""how long the mirror may be behind the store before a reconcile counts as outdated"""


Told = SubmitEntry | CancelEntry | StartedEntry | ProgressEntry | DoneEntry | ReconcileEntry
"""what submitters and agents say of tasks"""


class Waiting(NamedTuple):
    """A reconcile whose session the mirror does not show yet."""

    entry_id: str
    entry: ReconcileEntry
    since_ms: int


class _Coded(msgspec.Struct):
    """All that we look at in an attempt's outcome."""

    code: str = ""
    error: str = ""


_coded = msgspec.json.Decoder(_Coded)


class Foreman:
    """The tasks' side of the matchmaker, except for finding them devices."""

    def __init__(self, desk: Desk, tasks: OpenTasks, orders: Orders) -> None:
        self._orders = orders
        self._devices = desk.devices
        self._tasks = tasks
        self._courier = desk.courier
        self._ledger = desk.ledger
        self._docket = desk.docket
        self._counts = desk.counts
        self._max_attempts = desk.settings.max_attempts
        self._retention_ms = desk.settings.task_retention_s * 1000
        self._accounts = Patience(int(desk.settings.cancel_limit_s * 1000))
        """attempts that must be heard of in time"""
        self._waiting: list[Waiting] = []
        self._unwanted: list[OpenTask] = []
        """what was cancelled before we lead"""
        self._taken_over_ms = 0
        self._taken_over: dict[TaskKey, int] = {}
        """tasks of the backlog and when they were submitted: their entries may still be in the stream"""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def load(self, stored: list[StoredTask], now_ms: int) -> None:
        """Take over tasks that the store has open; none is cancelled before all are there."""
        self._taken_over_ms = now_ms + CLOCK_MS
        for each in stored:
            try:
                task = self._admit(each, now_ms)
            except Exception as error:
                name = task_member(each.task.submitter_id, each.task.id)
                raise Poisoned(Poison("open", name), each) from error
            self._taken_over[task.key] = task.life.submitted_ms
            if each.cancelled:
                self._unwanted.append(task)

    def loaded(self, now_ms: int) -> None:
        """All tasks are there."""
        unwanted, self._unwanted = self._unwanted, []
        for task in unwanted:
            if self._tasks.get(task.key) is task:
                self._cancel(task, now_ms)

    def take(self, entry_id: str, entry: Told, stored: StoredTask | None, now_ms: int) -> None:
        """One entry of the stream of tasks; `stored` is the task of a submit."""
        if isinstance(entry, ReconcileEntry):
            self._waiting.append(Waiting(entry_id, entry, now_ms))
            self.reconcile(now_ms)
            return
        decision = self._docket.note()
        decision.task_entry_processed(entry_id)
        if isinstance(entry, SubmitEntry):
            self._submit(entry, stored or _told(entry_id, entry), now_ms)
        elif isinstance(entry, CancelEntry):
            task = self._tasks.get((entry.submitter_id, entry.task_id))
            if task is not None:
                self._cancel(task, now_ms)
        else:
            self._reported(decision, entry, now_ms)

    def assigned(self, task: OpenTask, now_ms: int) -> None:
        """A device was given this task; if nothing is heard of it, it is told again."""
        self._accounts.give(task.life.attempt, now_ms)

    def device_back(self, change: Change, now_ms: int) -> None:
        """It has another session or another gateway: what became of its attempts?

        Under a new session its agent says so in a reconcile, and is given time for that; under
        the same one only messages on their way may have been lost with the gateway.
        """
        for task in self._tasks.on_device(change.device.id):
            if task.life.session == change.device.session:
                self._tell_again(task)
            else:
                self._accounts.give(task.life.attempt, now_ms)

    def device_left(self, device_id: str, now_ms: int) -> None:
        """Its attempts are lost."""
        for task in self._tasks.on_device(device_id):
            self._lose(self._docket.decide(), task, now_ms)

    def deadline(self, task: OpenTask, now_ms: int) -> None:
        """A task waited or ran too long, or its agent does not say that a stopped attempt ended."""
        decision = self._docket.decide()
        if task.life.state is TaskState.QUEUED:
            self._tasks.move(decision, task, lives.expire(task.life, now_ms=now_ms), now_ms)
        elif task.life.ending:
            self._tasks.move(decision, task, lives.give_up(task.life, now_ms=now_ms), now_ms)
        else:
            self._stop(decision, task, lives.TIMEOUT, now_ms)

    def call_to_account(self, now_ms: int) -> None:
        """Tell those again that should have started; lose what a new session never mentioned."""
        for attempt in self._accounts.rung(now_ms):
            task = self._tasks.of_attempt(attempt)
            device = self._devices.get(task.life.device_id) if task is not None else None
            if task is None or device is None:
                continue
            if task.life.session != device.session:
                decision = self._docket.decide()
                self._tell_stop(decision, task.life.device_id, task.task.id, attempt, "not accounted for")
                self._lose(decision, task, now_ms)
            elif task.life.state is TaskState.ASSIGNED:
                self._tell_again(task)
                self._accounts.give(attempt, now_ms)

    def next_account_ms(self) -> int | None:
        return self._accounts.next_ms()

    def reconcile(self, now_ms: int) -> None:
        """Take up the reconciles whose session the mirror shows; let outdated ones go.

        Neither keeping nor losing rests on the store's word that the session is still there: an
        attempt was either assigned in this session (then it is not touched), or before it, and
        then its agent knows better than anybody whether it runs.
        """
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            device = self._devices.get(each.entry.device_id)
            if device is not None and device.session == each.entry.session:
                self._reconcile(each, now_ms)
            elif now_ms - each.since_ms < PATIENCE_MS:
                self._waiting.append(each)
            else:
                self._docket.decide().task_entry_processed(each.entry_id)

    def _reconcile(self, waiting: Waiting, now_ms: int) -> None:
        entry, decision = waiting.entry, self._docket.decide()
        decision.task_entry_processed(waiting.entry_id)
        running = set(entry.running)
        for task_id, attempt in sorted(running):
            task = self._tasks.current(entry.device_id, task_id, attempt)
            if task is None:
                self._tell_stop(decision, entry.device_id, task_id, attempt, "not wanted any more")
                continue
            resumed = lives.resume(task.life, session=entry.session, now_ms=now_ms)
            self._tasks.move(decision, task, resumed, now_ms)
            if task.life.ending:
                self._tell_stop(decision, entry.device_id, task_id, attempt, task.life.ending)
        for task in self._tasks.on_device(entry.device_id):
            if task.life.session != entry.session:
                self._lose(decision, task, now_ms)

    def _submit(self, entry: SubmitEntry, stored: StoredTask | None, now_ms: int) -> None:
        """A task is new, unless it was in the backlog; it may even have ended since it was read."""
        key = entry.submitter_id, entry.task_id
        if stored is None or stored.life.state.final or self._taken_over_as(key, stored.life.submitted_ms):
            return
        if self._tasks.get(key) is None:
            task = self._admit(stored, now_ms)
            if stored.cancelled:
                self._cancel(task, now_ms)
            elif entry.record:
                self._orders.keep(task, entry.record)

    def _taken_over_as(self, key: TaskKey, submitted_ms: int) -> bool:
        """Whether the task of this entry was in the backlog.

        Its id comes back for another task at the earliest when the first is over and forgotten.
        """
        if submitted_ms > self._taken_over_ms:
            self._taken_over.clear()  # from here on, the stream has only what came after
        taken_ms = self._taken_over.pop(key, None)
        return taken_ms is not None and submitted_ms - taken_ms < self._retention_ms

    def _admit(self, stored: StoredTask, now_ms: int) -> OpenTask:
        task = self._tasks.add(stored, now_ms)
        if task.holding:
            self._accounts.give(task.life.attempt, now_ms)
        return task

    def _cancel(self, task: OpenTask, now_ms: int) -> None:
        """Its children first, so that a leader who comes between finds it open and goes on."""
        for each in reversed(self._tasks.family(task)):
            self._cancel_alone(each, now_ms)

    def _cancel_alone(self, task: OpenTask, now_ms: int) -> None:
        decision = self._docket.decide()
        if task.life.state is TaskState.QUEUED:
            self._tasks.move(decision, task, lives.cancel(task.life, now_ms=now_ms), now_ms)
        elif not task.life.ending:
            self._stop(decision, task, lives.CANCELLED, now_ms)

    def _stop(self, decision: Decision, task: OpenTask, why: str, now_ms: int) -> None:
        self._tell_stop(decision, task.life.device_id, task.task.id, task.life.attempt, why)
        self._tasks.move(decision, task, lives.stop(task.life, why), now_ms)

    def _reported(
        self, decision: Decision, entry: StartedEntry | ProgressEntry | DoneEntry, now_ms: int
    ) -> None:
        """What an agent says of an attempt counts only while that is the current one."""
        task = self._tasks.current(entry.device_id, entry.task_id, entry.attempt)
        if task is None:
            if not isinstance(entry, DoneEntry):
                self._tell_stop(
                    decision, entry.device_id, entry.task_id, entry.attempt, "not wanted any more"
                )
            return
        if isinstance(entry, ProgressEntry):
            self._progressed(decision, task, entry)
        elif isinstance(entry, DoneEntry):
            self._accounts.forget(entry.attempt)
            self._tasks.move(decision, task, self._ended(task, entry, now_ms), now_ms)
        elif task.life.state is TaskState.ASSIGNED:
            self._tasks.move(decision, task, lives.start(task.life, now_ms=now_ms), now_ms)

    def _ended(self, task: OpenTask, entry: DoneEntry, now_ms: int) -> Turn:
        """What an outcome makes of its task; a refusal counts for nothing while another device may run it."""
        told = _Coded() if entry.success else _coded.decode(entry.outcome)
        outcome = entry.outcome
        if told.code == Outcome.RETURNED:
            return lives.take_back(task.task, task.life, now_ms=now_ms)
        if told.code == Outcome.REFUSED:
            elsewhere = task.demand.without(entry.device_id)
            if feasible(elsewhere, self._ledger.stock):
                task.demand = elsewhere
                return lives.take_back(task.task, task.life, now_ms=now_ms)
            outcome = msgspec.json.encode(Failure(told.error, Outcome.REJECTED))
        return lives.finish(task.life, success=entry.success, outcome=outcome, now_ms=now_ms)

    def _progressed(self, decision: Decision, task: OpenTask, entry: ProgressEntry) -> None:
        """Pass it on, and keep it for whoever asks later."""
        part = "" if entry.progress is None else f"{entry.attempt} {entry.progress}"
        if part or entry.log:
            decision.note(*task.key, part, entry.log)
        if self._tasks.tells(task):
            self._courier.forward(decision, task.task.submitter_id, entry.frame)

    def _lose(self, decision: Decision, task: OpenTask, now_ms: int) -> None:
        lost = lives.lose(task.task, task.life, now_ms=now_ms, max_attempts=self._max_attempts)
        self._tasks.move(decision, task, lost, now_ms)
        self._counts.attempts_lost += 1

    def _tell_again(self, task: OpenTask) -> None:
        """An agent drops what it has seen, so saying it twice does no harm."""
        decision, life = self._docket.decide(), task.life
        if life.ending:
            self._tell_stop(decision, life.device_id, task.task.id, life.attempt, life.ending)
        elif life.state is TaskState.ASSIGNED:
            self._orders.give(decision, task, self._courier.presence(life.device_id))

    def _tell_stop(self, decision: Decision, device_id: str, task_id: str, attempt: str, why: str) -> None:
        message = TaskCancelled(task_id=task_id, attempt=attempt, reason=why)
        self._courier.tell(decision, device_id, message)


def _told(entry_id: str, entry: SubmitEntry) -> StoredTask | None:
    """The task of an entry that has it all; an entry's id begins with its time."""
    if not entry.record:
        return None
    life = TaskLife(
        TaskState.QUEUED, int(entry_id.partition("-")[0]), called=entry.called, patron=entry.patron
    )
    return StoredTask(unpack_record(TaskOutline, entry.record), life, cancelled=False)
