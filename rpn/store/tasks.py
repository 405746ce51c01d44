"""Tasks in the store: taken in once, read by the scheduler, cancelled, reported on."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from rpn.codec import pack_record, unpack_record
from rpn.errors import Forbidden, QueueFull, TaskConflict, TaskQuota
from rpn.model import Requirements, Task, TaskBrief, TaskState
from rpn.store.connection import Connection
from rpn.store.keys import Keys, task_member
from rpn.store.records import (
    CancelEntry,
    Doing,
    Patron,
    StoredTask,
    SubmitEntry,
    TaskLife,
    TaskOutline,
    TaskStreamEntry,
    counted_as,
)
from rpn.store.scripts import Script
from rpn.store.steps import Step

_encode = msgspec.json.Encoder(order="deterministic").encode
SMALL_TASK = 1024
"""bytes of a record that travels with its entry; a larger one has a brief beside it"""

_BRIEF_FIELDS = TaskBrief.__struct_fields__


class TaskLimits(NamedTuple):
    """How many tasks may be open."""

    pool: int
    submitter: int
    """of one submitter, or of one token that has a quota of its own"""


class Submitted(NamedTuple):
    """A task that is in the store, new or known."""

    state: TaskState
    attempts: int
    result: bytes
    """its outcome as JSON; empty while it is open"""


class Cancelled(NamedTuple):
    """A task that was marked as not wanted, or was over already."""

    state: TaskState | None
    """where it is; None when it is not there"""
    result: bytes
    """its outcome as JSON; empty while it is open"""


class Tasks:
    """The tasks of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._submit = Script(connection, "task_submit")
        self._cancel = Script(connection, "task_cancel")
        self._report = Script(connection, "task_report")
        self._read = Script(connection, "task_read")
        self._active = Script(connection, "task_active")
        self._submit_keys = [keys.tasks, keys.open, keys.open_counts, keys.names, keys.ended]
        self._report_keys = [keys.sessions, keys.tasks]

    def submit(
        self, task: Task, limits: TaskLimits, *, called: bool = False, patron: Patron | None = None
    ) -> Step[Submitted]:
        """Take a task in; the same again is answered with where it is. `called`: not by a device.

        Answers TaskConflict when the id stands for another task, QueueFull or TaskQuota at a limit.
        """
        k, name = self._keys, (task.submitter_id, task.id)
        record = pack_record(task)
        is_small = len(record) <= SMALL_TASK
        args = [
            record,
            b"" if is_small else pack_record(brief(task)),
            digest(task),
            _born(called, patron),
            pack_record(SubmitEntry(*name, record if is_small else b"", called, patron)),
            pack_record(CancelEntry(*name)),
            task_member(*name),
            task_member(task.id, task.submitter_id),
            counted_as(task.submitter_id, patron),
            *limits,
        ]
        keys = [k.task(*name), k.task(task.submitter_id, task.parent_id or task.id)]
        return Step(
            self._submit, keys, args, lambda reply: _submitted(reply, task, limits, patron), self._submit_keys
        )

    def cancel(self, submitter_id: str, task_id: str, *, mark_ms: int, token_id: str = "") -> Step[Cancelled]:
        """Mark a task as not wanted, unless it is over.

        One that is not there yet will be born cancelled, for `mark_ms`; with 0 it is left alone.
        With a `token_id`, answers Forbidden when it was submitted in another token's name.
        """
        k = self._keys
        keys = [k.task(submitter_id, task_id), k.tasks, k.open]
        entry = pack_record(CancelEntry(submitter_id, task_id))
        args = [entry, task_member(submitter_id, task_id), mark_ms, token_id]
        return Step(self._cancel, keys, args, _cancelled)

    def report(self, device_id: str, presence: str, entry: TaskStreamEntry) -> Step[bool]:
        """Hand an agent's report to the scheduler; False when a newer session speaks for it.

        A report may arrive twice: the scheduler takes the first.
        """
        return Step(self._report, [], [device_id, presence, pack_record(entry)], bool, self._report_keys)

    async def load(self, names: list[tuple[str, str]]) -> list[StoredTask | None]:
        """The tasks of these (submitter, id), without payload; None for one that is not there."""
        if not names:
            return []
        replies = await self._read.run([self._keys.task(*name) for name in names], [])
        return [_stored(reply) for reply in replies]

    async def active(self, names: list[tuple[str, str]]) -> set[int]:
        """Which of these some device has, by their places."""
        found = await self._active.run([self._keys.task(*name) for name in names], []) if names else []
        return set(found)

    async def records(self, names: list[tuple[str, str]]) -> list[bytes | None]:
        """Their whole records, packed, payload included."""
        if not names:
            return []
        return await self._connection.commands([("HGET", self._keys.task(*name), "task") for name in names])


def brief(task: Task) -> TaskOutline:
    """The task without its payload."""
    fields = {name: getattr(task, name) for name in _BRIEF_FIELDS}
    return TaskOutline(**fields, data=Doing(task.data.get("command")))


class _Described(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """The fields that tell tasks apart, in the first version's order; later ones only where they matter."""

    id: str
    type: str
    submitter_id: str
    requirements: Requirements
    data: dict[str, Any]
    priority: int
    timeout: float | None
    queue_timeout: float | None
    retries: int | None
    max_attempts: int | None = None
    parent_id: str | None = None


def digest(task: Task) -> str:
    """What tells a task from another one under its id; the same in every version that can say it.

    During an upgrade a task may be submitted to one version and again to another. So a field that
    came later counts only where it says something.
    """
    described = _Described(
        *(task.id, task.type, task.submitter_id, task.requirements, task.data, task.priority),
        *(task.timeout_s, task.queue_timeout_s, task.retries, task.max_attempts, task.parent_id),
    )
    return hashlib.sha256(_encode(described)).hexdigest()


@lru_cache(1024)
def _born(called: bool, patron: Patron | None) -> bytes:
    """A task's first life, packed."""
    return pack_record(TaskLife(TaskState.QUEUED, 0, called=called, patron=patron))


def _stored(reply: list[Any]) -> StoredTask | None:
    description, life, submitted_ms, cancelled = reply
    if description is None:
        return None
    found = unpack_record(TaskLife, life)
    if not found.submitted_ms:
        found = msgspec.structs.replace(found, submitted_ms=int(submitted_ms))
    return StoredTask(unpack_record(TaskOutline, description), found, bool(cancelled))


def _submitted(reply: list[Any], task: Task, limits: TaskLimits, patron: Patron | None) -> Submitted:
    match reply[0]:
        case b"CONFLICT":
            raise TaskConflict(f"task {task.id} was submitted before, with other content")
        case b"FULL":
            raise QueueFull(f"the pool holds {limits.pool} open tasks (RPN_OPEN_TASK_LIMIT)")
        case b"QUOTA":
            raise TaskQuota(_at_quota(task.submitter_id, limits.submitter, patron))
        case b"KNOWN":
            life = unpack_record(TaskLife, reply[1])
            return Submitted(life.state, life.attempts, reply[2])
    return Submitted(TaskState.QUEUED, 0, b"")


def _at_quota(submitter_id: str, limit: int, patron: Patron | None) -> str:
    if counted_as(submitter_id, patron) != submitter_id:
        return f"this token has {limit} open tasks, as many as it may"
    return f"{submitter_id} has {limit} open tasks (RPN_SUBMITTER_TASK_LIMIT)"


def _cancelled(reply: list[Any]) -> Cancelled:
    if reply[0] == b"UNKNOWN":
        return Cancelled(None, b"")
    if reply[0] == b"FORBIDDEN":
        raise Forbidden("this task was submitted by another token")
    state = unpack_record(TaskLife, reply[1]).state
    return Cancelled(state, reply[2] if reply[0] == b"OVER" else b"")
