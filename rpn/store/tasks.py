"""Tasks in the store: taken in once, read by the scheduler, cancelled, reported on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from rpn.codec import pack_record, unpack_record
from rpn.errors import QueueFull, TaskConflict
from rpn.model import Task, TaskState
from rpn.store.connection import Connection
from rpn.store.keys import Keys, task_member
from rpn.store.records import CancelEntry, StoredTask, SubmitEntry, TaskLife, TaskStreamEntry
from rpn.store.scripts import Script
from rpn.store.steps import Step

_FIELDS = ("task", "life", "submitted_ms", "cancelled", "result")
_FIRST = ("timeout", "queueTimeout", "retries")
"""what the first version wrote also where it was null"""
_NOTHING = msgspec.Raw(b"null")
_said = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Submitted(NamedTuple):
    """A task that is in the store, new or known."""

    state: TaskState
    attempts: int
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

    def submit(self, task: Task, *, open_limit: int) -> Step[Submitted]:
        """Take a task in; the same again is answered with where it is.

        Answers TaskConflict when the id stands for another task, QueueFull at the limit.
        """
        k = self._keys
        args = [
            pack_record(task),
            digest(task),
            pack_record(TaskLife(TaskState.QUEUED, 0)),
            pack_record(SubmitEntry(task.submitter_id, task.id)),
            task_member(task.submitter_id, task.id),
            open_limit,
        ]
        keys = [k.task(task.submitter_id, task.id), k.tasks, k.open]
        return Step(self._submit, keys, args, lambda reply: _submitted(reply, task.id, open_limit))

    def cancel(self, submitter_id: str, task_id: str, *, mark_ms: int) -> Step[bytes]:
        """Mark a task as not wanted; answers its result if it is over already.

        A task that is not there yet will be born cancelled, for `mark_ms`.
        """
        k = self._keys
        keys = [k.task(submitter_id, task_id), k.tasks, k.open]
        entry = pack_record(CancelEntry(submitter_id, task_id))
        args = [entry, task_member(submitter_id, task_id), mark_ms]
        return Step(self._cancel, keys, args, lambda reply: reply[1] if reply[0] == b"OVER" else b"")

    def report(self, device_id: str, presence: str, entries: Sequence[TaskStreamEntry]) -> Step[bool]:
        """Hand an agent's reports to the scheduler; False when a newer session speaks for it.

        A report may arrive twice: the scheduler takes the first.
        """
        args = [device_id, presence, *(pack_record(entry) for entry in entries)]
        return Step(self._report, [self._keys.sessions, self._keys.tasks], args, bool)

    async def load(self, names: list[tuple[str, str]]) -> list[StoredTask | None]:
        """The tasks of these (submitter, id); None for one that is not there."""
        reads = [("HMGET", self._keys.task(*name), *_FIELDS) for name in names]
        return [_stored(reply) for reply in await self._connection.commands(reads)]


def digest(task: Task) -> str:
    """What tells a task from another one under its id; the same in every version that can say it.

    During an upgrade a task may be submitted to one version and again to another. So a field that
    came later counts only where it says something.
    """
    encoded = msgspec.json.encode(task, order="deterministic")
    said = {
        name: value for name, value in _said.decode(encoded).items() if name in _FIRST or value != _NOTHING
    }
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def _stored(reply: list[Any]) -> StoredTask | None:
    description, life, submitted_ms, cancelled, result = reply
    if description is None:
        return None
    found = unpack_record(TaskLife, life)
    if not found.submitted_ms:
        found = msgspec.structs.replace(found, submitted_ms=int(submitted_ms))
    return StoredTask(unpack_record(Task, description), found, bool(cancelled), result or b"")


def _submitted(reply: list[Any], task_id: str, open_limit: int) -> Submitted:
    match reply[0]:
        case b"CONFLICT":
            raise TaskConflict(f"task {task_id} was submitted before, with other content")
        case b"FULL":
            raise QueueFull(f"the pool holds {open_limit} open tasks (RPN_OPEN_TASK_LIMIT)")
        case b"KNOWN":
            life = unpack_record(TaskLife, reply[1])
            return Submitted(life.state, life.attempts, reply[2])
    return Submitted(TaskState.QUEUED, 0, b"")
