"""A task's life: which state follows which, and who makes it so.

                  ┌──────────────────────────────┐ device lost
                  ▼                              │
    submit ──► QUEUED ──► ASSIGNED ──► RUNNING ──┤
                  │           │           │      └──► FAILED  (poison, lost)
                  │           └───────────┴──► SUCCEEDED, FAILED, CANCELLED
                  └──► CANCELLED, EXPIRED, FAILED  (infeasible)

    - -> QUEUED                    [the store, when the submitter's gateway brings it]
    QUEUED -> ASSIGNED             [matchmaker: a device fits]
    ASSIGNED -> RUNNING            [agent: started, or lists it when it comes back]
    ASSIGNED, RUNNING -> QUEUED    [matchmaker: its device left, or came back without it; agent: returned]
    ASSIGNED, RUNNING -> FAILED    [the same, but no re-run is left: LOST, or POISON after too many devices]
    ASSIGNED, RUNNING -> SUCCEEDED [agent: done]
    ASSIGNED, RUNNING -> FAILED    [agent: done; or told to stop for its timeout, and ended, lost or silent]
    ASSIGNED, RUNNING -> CANCELLED [submitter; once the attempt ended, is lost or stays silent]
    QUEUED -> CANCELLED            [submitter]
    QUEUED -> EXPIRED              [keeper: queueTimeout]
    QUEUED -> FAILED               [keeper: INFEASIBLE]

An attempt that is told to stop keeps its state, with the reason in `ending`, until it has ended:
so long it keeps its share. What was lost twice rests before it waits for a device again. The first
accepted result wins; a final state never changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from rpn.model import Failure, Outcome, TaskBrief, TaskState
from rpn.settings import SchedulerSettings
from rpn.store.records import TaskLife

BACKOFF_MS = 1000
"""before the second re-run; doubled with each further one"""
BACKOFF_LIMIT_MS = 30_000

CANCELLED = "cancelled"
TIMEOUT = "timeout"

_ACTIVE = (TaskState.ASSIGNED, TaskState.RUNNING)


class Turn(NamedTuple):
    """A task's next life; with the outcome as JSON when it is over."""

    life: TaskLife
    outcome: bytes = b""


def active(life: TaskLife) -> bool:
    """Whether some device has it."""
    return life.state in _ACTIVE


def accepts(life: TaskLife, device_id: str, attempt: str) -> bool:
    """Whether this attempt is the current one, and that device's."""
    return active(life) and life.attempt == attempt and life.device_id == device_id


def queued_ms(life: TaskLife) -> int:
    """Since when it waits for a device; after a lost attempt `ended_ms` is the end of that."""
    return max(life.submitted_ms, life.ended_ms)


def ready_ms(life: TaskLife) -> int:
    """From when on a waiting task may run: the first loss is its device's fault, the next may be its own."""
    losses = len(life.lost_with)
    if losses < 2:
        return 0
    return life.ended_ms + min(BACKOFF_MS << (losses - 2), BACKOFF_LIMIT_MS)


def alarm_ms(task: TaskBrief, life: TaskLife, settings: SchedulerSettings, *, now_ms: int) -> int | None:
    """When somebody must look after this task, if nothing happens before."""
    if life.state is TaskState.QUEUED:
        timeout_s = task.queue_timeout_s or settings.queue_timeout_s
        return queued_ms(life) + _ms(timeout_s)
    if life.ending:
        return now_ms + _ms(settings.cancel_limit_s)
    if task.timeout_s is None:
        return None
    began_ms = life.started_ms or life.assigned_ms
    return began_ms + _ms(task.timeout_s) + _ms(settings.cancel_limit_s)


def assign(life: TaskLife, *, attempt: str, device_id: str, session: str, now_ms: int) -> Turn:
    return _to(
        life,
        TaskState.ASSIGNED,
        attempts=life.attempts + 1,
        attempt=attempt,
        device_id=device_id,
        session=session,
        assigned_ms=now_ms,
        started_ms=0,
        ending="",
    )


def start(life: TaskLife, *, now_ms: int) -> Turn:
    return _to(life, TaskState.RUNNING, started_ms=life.started_ms or now_ms)


def resume(life: TaskLife, *, session: str, now_ms: int) -> Turn:
    """Its device came back under another session and still runs it."""
    return _to(life, TaskState.RUNNING, started_ms=life.started_ms or now_ms, session=session)


def stop(life: TaskLife, why: str) -> Turn:
    """Its attempt is told to end; the first reason stays."""
    return Turn(msgspec.structs.replace(life, ending=life.ending or why))


def finish(life: TaskLife, *, success: bool, outcome: bytes, now_ms: int) -> Turn:
    """Its attempt ended; success counts even if it was being stopped."""
    if success:
        return _over(life, TaskState.SUCCEEDED, outcome, now_ms)
    if life.ending:
        return give_up(life, now_ms=now_ms)
    return _over(life, TaskState.FAILED, outcome, now_ms)


def give_up(life: TaskLife, *, now_ms: int) -> Turn:
    """An attempt that was being stopped is gone, or its agent says nothing."""
    if life.ending == TIMEOUT:
        return _failed(life, Outcome.TIMEOUT, "it ran longer than its timeout", now_ms)
    return cancel(life, now_ms=now_ms)


def cancel(life: TaskLife, *, now_ms: int) -> Turn:
    failure = Failure("cancelled by its submitter", Outcome.CANCELLED)
    return _over(life, TaskState.CANCELLED, msgspec.json.encode(failure), now_ms)


def lose(task: TaskBrief, life: TaskLife, *, now_ms: int, max_attempts: int) -> Turn:
    """Its device is gone, or does not have it any more."""
    if life.ending:
        return give_up(life, now_ms=now_ms)
    lost = msgspec.structs.replace(life, lost_with=(*life.lost_with, life.device_id))
    if task.retries is not None and life.attempts > task.retries:
        text = f"its device was lost, and it may be run again {task.retries} times"
        return _failed(lost, Outcome.LOST, text, now_ms)
    if len(lost.lost_with) >= (task.max_attempts or max_attempts):
        text = f"lost with {len(lost.lost_with)} devices one after another"
        return _failed(lost, Outcome.POISON, text, now_ms)
    return _queued(lost, now_ms)


def take_back(task: TaskBrief, life: TaskLife, *, now_ms: int) -> Turn:
    """Its device's owner wants the device back: it counts as lost only if it may have begun to work."""
    begun = life.state is TaskState.RUNNING
    if life.ending or (begun and task.retries is not None and life.attempts > task.retries):
        return lose(task, life, now_ms=now_ms, max_attempts=1)
    attempts = life.attempts if begun else life.attempts - 1
    return _queued(msgspec.structs.replace(life, attempts=attempts), now_ms)


def expire(life: TaskLife, *, now_ms: int) -> Turn:
    failure = Failure("no device had room for it within its queue timeout", Outcome.EXPIRED)
    return _over(life, TaskState.EXPIRED, msgspec.json.encode(failure), now_ms)


def infeasible(life: TaskLife, why: str, *, now_ms: int) -> Turn:
    return _failed(life, Outcome.INFEASIBLE, why, now_ms)


_WAYS: dict[TaskState, frozenset[TaskState]] = {
    TaskState.QUEUED: frozenset(
        {TaskState.ASSIGNED, TaskState.CANCELLED, TaskState.EXPIRED, TaskState.FAILED}
    ),
    TaskState.ASSIGNED: frozenset(
        {TaskState.RUNNING, TaskState.QUEUED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}
    ),
    TaskState.RUNNING: frozenset(
        {TaskState.RUNNING, TaskState.QUEUED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}
    ),
}


def _queued(life: TaskLife, now_ms: int) -> Turn:
    return _to(
        life,
        TaskState.QUEUED,
        attempt="",
        device_id="",
        session="",
        assigned_ms=0,
        started_ms=0,
        ended_ms=now_ms,
    )


def _to(life: TaskLife, state: TaskState, **changes: Any) -> Turn:
    if state not in _WAYS.get(life.state, ()):
        raise ValueError(f"a task does not go from {life.state} to {state}")
    return Turn(msgspec.structs.replace(life, state=state, **changes))


def _over(life: TaskLife, state: TaskState, outcome: bytes, now_ms: int) -> Turn:
    return Turn(_to(life, state, ended_ms=now_ms).life, outcome)


def _failed(life: TaskLife, code: Outcome, text: str, now_ms: int) -> Turn:
    return _over(life, TaskState.FAILED, msgspec.json.encode(Failure(text, code)), now_ms)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
