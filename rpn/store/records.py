"""What stands in the pool's streams and hashes beside the devices: requests, reports, tasks, allocations."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from rpn.model import Allocation, Requirements, Share, TaskBrief, TaskState
from rpn.replica import iso


class Entry(Struct, frozen=True, array_like=True, tag=True):
    """One thing asked of the scheduler, as it stands in a stream."""


def tag_of(data: bytes) -> str:
    """What kind of entry this says it is; empty if it is none at all."""
    try:
        found = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return found[0] if isinstance(found, list) and found and isinstance(found[0], str) else ""


CALL_MS = 600_000
"""how long a call and its answer are remembered"""


class Call(Struct, frozen=True, array_like=True):
    """Somebody who is no device and waits at a gateway for an answer."""

    id: str
    """the answer is kept under it for a while"""
    gateway: str
    """whose mailbox gets it too"""


class Patron(NamedTuple):
    """The token in whose name something is asked, with those of its quotas that the whole pool keeps."""

    token_id: str
    share_percent: int = 0
    """of each dimension of the pool, what all that it asked for may hold at once; 0: any part"""
    open_tasks: int = 0
    """of all names under which it submits together; 0: as many as anybody under each"""


TOKENS = "\x00token "
"""how the counts of tokens begin, among those of submitters: no name has such a character"""


def counted_as(submitter_id: str, patron: Patron | None) -> str:
    """Under whose name an open task counts: the token's, if that may have only so many."""
    if patron is None or not patron.open_tasks:
        return submitter_id
    return f"{TOKENS}{patron.token_id}"


# --- the stream of requests -------------------------------------------------------------------


class RequestEntry(Entry, frozen=True, tag="request"):
    """A device, or a caller, asks for resources."""

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
    ttl_ms: int = 0
    """how long it is held unless renewed; 0: as long as the device is in the pool"""
    dry_run: bool = False
    explains: bool = False
    """the answer may say why, and when it ends"""
    call: Call | None = None
    """whoever asks is no device; `device_id` is what it calls itself, `presence` is empty"""
    patron: Patron | None = None
    """None where no tokens are asked for"""


class ReleaseEntry(Entry, frozen=True, tag="release"):
    """A device, or a caller, gives an allocation back."""

    device_id: str
    allocation_id: str
    request_id: str | None = None
    call: Call | None = None
    withdraws: bool = False
    """the caller of this request got no answer in time: nobody wants to know what became of it"""


class RenewEntry(Entry, frozen=True, tag="renew"):
    """A device, or a caller, wants an allocation to be held longer."""

    device_id: str
    allocation_id: str
    ttl_ms: int
    """from when this is decided"""
    request_id: str | None = None
    call: Call | None = None


class HoldersEntry(Entry, frozen=True, tag="holders"):
    """A caller asks who holds what on a device."""

    device_id: str
    call: Call


# --- the stream of tasks ----------------------------------------------------------------------


class SubmitEntry(Entry, frozen=True, tag="submit"):
    """A task was put into the store."""

    submitter_id: str
    task_id: str
    record: bytes = b""
    """its record, when that is small: then nobody needs to read it from its key"""
    called: bool = False
    """its submitter is no device"""
    patron: Patron | None = None


class CancelEntry(Entry, frozen=True, tag="cancel"):
    """A task was marked as not wanted any more."""

    submitter_id: str
    task_id: str


class ExplainEntry(Entry, frozen=True, tag="explain"):
    """A caller asks why a task waits."""

    submitter_id: str
    task_id: str
    call: Call


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
    progress: float | None = None
    """0 to 1"""
    log: str = ""


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


RequestStreamEntry = RequestEntry | ReleaseEntry | RenewEntry | HoldersEntry
TaskStreamEntry = (
    SubmitEntry | CancelEntry | ExplainEntry | StartedEntry | ProgressEntry | DoneEntry | ReconcileEntry
)


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
    expires_ms: int = 0
    """when it ends unless renewed; 0: it ends with its requester's presence"""
    called: bool = False
    """its requester is no device"""
    since_ms: list[int] = []
    """since when each share is held; empty: all since `created_ms`"""
    fulfilled: bool = True
    """no share was lost for good"""
    patron: Patron | None = None
    """in whose name it was asked for"""

    @property
    def allocation(self) -> Allocation:
        """As clients see it."""
        return Allocation(
            self.id,
            self.requester_id,
            iso(self.created_ms),
            self.requirements,
            self.fulfilled,
            self.shares,
        )

    @property
    def expires_at(self) -> str | None:
        """When it ends unless renewed; None if it ends with its requester's presence."""
        return iso(self.expires_ms) if self.expires_ms else None


class TaskLife(Struct, frozen=True, array_like=True, gc=False):
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
    lost_with: tuple[str, ...] = ()
    """devices it was lost with"""
    ending: str = ""
    """why its current attempt is being stopped: cancelled, timeout; empty while it is wanted"""
    called: bool = False
    """its submitter is no device: nothing is brought to it, it comes and asks"""
    patron: Patron | None = None
    """in whose name it was submitted"""


class Doing(Struct, frozen=True):
    """What of a task's data says what it does."""

    command: Any = None


class TaskOutline(TaskBrief, frozen=True, rename="camel", kw_only=True):
    """A task as far as placement and people look at it; a small task's whole record reads as one, too."""

    data: Doing = Doing()

    @property
    def command(self) -> str:
        """Of a compute task: the name of its command; empty if it has none."""
        named = self.data.command if self.type == "compute" else None
        return named if isinstance(named, str) else ""


class StoredTask(Struct, frozen=True):
    """A task as it stands in the store."""

    task: TaskOutline
    life: TaskLife
    cancelled: bool
    """marked as not wanted any more"""
