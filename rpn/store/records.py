"""What stands in the pool's streams and hashes beside the devices: requests, reports, tasks, allocations."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from rpn.model import Requirements, Share, Task, TaskState


class Entry(Struct, frozen=True, array_like=True, tag=True):
    """One thing asked of the scheduler, as it stands in a stream."""


def tag_of(data: bytes) -> str:
    """What kind of entry this says it is; empty if it is none at all."""
    try:
        found = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return found[0] if isinstance(found, list) and found and isinstance(found[0], str) else ""


# --- the stream of requests -------------------------------------------------------------------


class RequestEntry(Entry, frozen=True, tag="request"):
    """A device asks for resources."""

    allocation_id: str
    """made by the gateway: the id of the allocation that will answer it"""
    device_id: str
    presence: str
    """`session gateway` at the time"""
    requirements: Requirements
    request_id: str | None = None
    """the client's own, echoed"""
    releases: bool = False
    """the client opted in, so it can release by itself"""


class ReleaseEntry(Entry, frozen=True, tag="release"):
    """A device gives an allocation back."""

    device_id: str
    allocation_id: str


# --- the stream of tasks ----------------------------------------------------------------------


class SubmitEntry(Entry, frozen=True, tag="submit"):
    """A task was put into the store."""

    submitter_id: str
    task_id: str


class CancelEntry(Entry, frozen=True, tag="cancel"):
    """A task was marked as not wanted any more."""

    submitter_id: str
    task_id: str


class StartedEntry(Entry, frozen=True, tag="started"):
    """An agent began an attempt."""

    device_id: str
    task_id: str
    attempt: str


class ProgressEntry(Entry, frozen=True, tag="progress"):
    """An agent tells how far an attempt is."""

    device_id: str
    task_id: str
    attempt: str
    frame: bytes
    """the `task_progress` for the submitter, ready made"""


class DoneEntry(Entry, frozen=True, tag="done"):
    """An agent brings the result of an attempt."""

    device_id: str
    task_id: str
    attempt: str
    success: bool
    outcome: bytes
    """JSON: `{success: true, result}` or `{success: false, error, code}`"""


class ReconcileEntry(Entry, frozen=True, tag="reconcile"):
    """A device registered and says which attempts it runs; others assigned to it before are lost."""

    device_id: str
    session: str
    running: list[tuple[str, str]]
    """(task id, attempt)"""


RequestStreamEntry = RequestEntry | ReleaseEntry
TaskStreamEntry = SubmitEntry | CancelEntry | StartedEntry | ProgressEntry | DoneEntry | ReconcileEntry


# --- what is kept -----------------------------------------------------------------------------


class AllocationRecord(Struct, frozen=True, array_like=True):
    """An allocation that is held."""

    id: str
    requester_id: str
    requirements: Requirements
    shares: list[Share]
    created_ms: int
    request_id: str | None = None
    releases: bool = False


class TaskLife(Struct, frozen=True, array_like=True):
    """Where a task is, beside its unchanging description; one field of its hash."""

    state: TaskState
    submitted_ms: int
    attempts: int = 0
    """how many there were"""
    attempt: str = ""
    """the current one; unique in the pool"""
    device_id: str = ""
    """where it runs"""
    session: str = ""
    """of the device, when it was assigned or last reconciled"""
    assigned_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    lost_with: list[str] = []
    """devices it was lost with"""
    ending: str = ""
    """why its current attempt is being stopped: cancelled, timeout; empty while it is wanted"""


class StoredTask(Struct, frozen=True):
    """A task as it stands in the store."""

    task: Task
    life: TaskLife
    cancelled: bool
    """marked as not wanted any more"""
    result: bytes
    """its outcome as JSON; empty while open"""
