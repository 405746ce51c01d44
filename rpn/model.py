"""The nouns of the pool, as they look on the wire: devices, resources, requirements, allocations, tasks.

Units are API.md's: `cpu` is core-percent (100 = one full core), a device's `cpu_usage` and
`cpu_available` are percent of the whole device, memory and storage are MB.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

LARGEST = 2**53
"""The largest amount of anything: what a double still counts exactly."""

Amount = Annotated[int, Meta(ge=0, le=LARGEST)] | Annotated[float, Meta(ge=0, le=LARGEST)]
"""A finite number that is not negative; an int stays an int, a float a float."""

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+\Z"
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=_PRINTABLE)]
"""1 to 128 characters; no control characters, surrogates or marks that reverse the text."""

Label = Annotated[str, Meta(max_length=128, pattern=_PRINTABLE.replace("+", "*"))]
Labels = Annotated[dict[Name, Label], Meta(max_length=32)]

Capabilities = Annotated[dict[Name, Any], Meta(max_length=64)]
"""What a device tells about itself beside its resources: small JSON values by name. Those that
placement knows: `types` and `commands`, lists of the task types and commands it would run."""


class Resources(Struct, frozen=True, rename="camel", gc=False):
    """What a device has and uses, as it last reported it."""

    cpu_usage: Amount
    """percent of the whole device"""
    cpu_available: Amount
    """percent of the whole device"""
    cpu_cores: Amount
    memory_usage: Amount
    memory_available: Amount
    memory_total: Amount
    storage_usage: Amount
    storage_available: Amount
    storage_total: Amount
    has_gpu: bool = field(name="hasGPU")
    gpu_name: Annotated[str, Meta(max_length=256)] | None = None
    gpu_usage: Amount | None = None


NO_RESOURCES = Resources(0, 0, 0, 0, 0, 0, 0, 0, 0, has_gpu=False)
"""What a device shows before its first report."""


class PoolUsage(Struct, frozen=True, rename="camel", gc=False):
    """The part of an agent's usage that the pool's own tasks cause."""

    cpu: Amount = 0
    """core-percent"""
    memory: Amount = 0
    storage: Amount = 0


class Requirements(Struct, frozen=True, rename="camel", gc=False):
    """What a request or a task needs: core-percent, MB, MB, one GPU or none; all after `gpu` is opt-in."""

    cpu: Amount = 0
    memory: Amount = 0
    storage: Amount = 0
    gpu: bool = False
    devices: Annotated[int, Meta(ge=1, le=1000)] | UnsetType = UNSET
    """exactly so many devices, each with an equal share"""
    strategy: Literal["pack", "spread"] | UnsetType = UNSET
    """`pack` (the default): as few devices as will do, the fullest first; `spread`: the emptiest first"""
    labels: Labels | UnsetType = UNSET
    """only devices that carry all of these"""
    exclude: Annotated[list[Name], Meta(max_length=1000)] | UnsetType = UNSET
    """ids of devices that may not serve it"""
    allow_self: bool | UnsetType = UNSET
    """`false`: not the requester's own device, which otherwise comes last"""

    @property
    def nothing(self) -> bool:
        return not (self.cpu or self.memory or self.storage or self.gpu)


class Device(Struct, frozen=True, rename="camel"):
    """A device as clients see it."""

    id: str
    name: str
    platform: str
    ip_address: str
    last_seen: str
    """UTC, ISO 8601 with milliseconds and Z"""
    is_online: bool
    resources: Resources


class PoolTotals(Struct, frozen=True, rename="camel"):
    """Plain sums of the devices' last reports; reservations are not subtracted."""

    total_cpu_available: Amount = 0
    """the sum of the devices' `cpuAvailable`, percent of whole devices"""
    total_cpu_cores: Amount = 0
    total_memory_available: Amount = 0
    total_storage_available: Amount = 0
    total_gpus: int = field(default=0, name="totalGPUs")
    """devices that have a GPU"""
    devices: int = 0


class Usage(Struct, frozen=True, rename="camel"):
    """What a device gave, or a submitter used, over some time."""

    core_hours: float = 0
    memory_hours: float = 0
    """GiB times hours"""
    gpu_hours: float = 0


class Sum(Struct, frozen=True, rename="camel", gc=False):
    """An amount of everything that can be reserved."""

    cpu: int = 0
    """core-percent"""
    memory: int = 0
    """MB"""
    storage: int = 0
    """MB"""
    gpus: int = 0


class PoolStanding(Struct, frozen=True, rename="camel", gc=False):
    """How much of the pool is given away, as of the scheduler's last commit."""

    allocated: Sum = Sum()
    """to allocations and to tasks"""
    free: Sum = Sum()
    """what could be given away, summed over all devices"""
    allocations: int = 0
    queued: int = 0
    """tasks that wait for a device"""
    running: int = 0
    """tasks that a device has"""


class Share(Struct, frozen=True, rename="camel"):
    """What one device gives to an allocation."""

    device_id: str
    device_name: str
    allocated_cpu: int
    allocated_memory: int
    allocated_storage: int
    allocated_gpu: bool


class HeldShare(Struct, frozen=True, rename="camel"):
    """What an allocation has of one device."""

    allocation_id: str
    requesting_device: str
    share: Share


class RunningTask(Struct, frozen=True, rename="camel"):
    """A task that one device has."""

    task_id: str
    submitter_id: str
    attempt: str
    state: str


class DeviceLoad(Struct, frozen=True, rename="camel"):
    """What the pool has given away of one device, and to whom."""

    allocated: Sum
    free: Sum
    """what could be given away now"""
    allocations: list[HeldShare]
    tasks: list[RunningTask]


class Allocation(Struct, frozen=True, rename="camel"):
    """The answer to a resource request; `fulfilled` means that every share is reserved."""

    id: str
    requesting_device: str
    timestamp: str
    requirements: Requirements
    fulfilled: bool
    allocated_devices: list[Share]


class NearMiss(Struct, frozen=True, rename="camel"):
    """The device that came closest to serving a request, and what it lacks."""

    device_id: str
    device_name: str
    missing: dict[str, int]
    """by dimension: `cpu` (core-percent), `memory`, `storage` (MB), `gpu`"""


class Reason(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Why a request or a task has nothing; every device is counted once: devices = filtered + exhausted."""

    code: Literal["INFEASIBLE", "INSUFFICIENT", "CONSTRAINT", "QUOTA"]
    """never with this pool; not now; no device is allowed to; the submitter has what it may have"""
    message: str
    """one sentence for people"""
    devices: int
    """how many were considered"""
    filtered: dict[str, int] = field(default_factory=dict)
    """devices that could not serve it even if they were idle, by the first thing they lack"""
    exhausted: dict[str, int] = field(default_factory=dict)
    """devices that could, but not now, by the first thing they lack"""
    nearest: NearMiss | None = None
    change: dict[str, int] | None = None
    """the smallest change that would fit now: the dimensions to be lowered, and to what"""
    queue_position: int | None = None
    """of a task that waits: how many are before it"""


Seconds = Annotated[float, Meta(gt=0, le=30 * 86400)]


class TaskBrief(Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """A task without its payload: all that decides where and when it runs."""

    id: Name
    type: Name
    submitter_id: Name
    requirements: Requirements = Requirements()
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    """higher runs earlier"""
    timeout_s: Seconds | None = field(default=None, name="timeout")
    """longest run of one attempt, seconds"""
    queue_timeout_s: Seconds | None = field(default=None, name="queueTimeout")
    """longest wait for a device, seconds"""
    retries: Annotated[int, Meta(ge=0, le=100)] | None = None
    """how often it may be run again after its device was lost; 0 = at most once"""
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    """devices it may be lost with before it counts as poison; by default the pool's setting"""
    parent_id: Name | None = None
    """the submitter's task that this one belongs to: it is cancelled together with that"""


class Task(TaskBrief, frozen=True, rename="camel", kw_only=True):
    """Work to be run once, on one device."""

    data: dict[str, Any] = {}
    """for `compute`: `command`, a name the device's owner registered or a built-in, and `input`"""


class TaskState(StrEnum):
    """Where a task is in its life; scheduler/life.py draws the ways between."""

    QUEUED = "queued"
    ASSIGNED = "assigned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    __hash__ = str.__hash__  # an Enum's own is written in Python, and states are looked up all the time

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED}


class TaskInfo(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Where a task is, for whoever asks; times are UTC, ISO 8601 with milliseconds and Z."""

    task_id: str
    submitter_id: str
    type: str
    command: str | None = None
    """of its `data`, where that is small"""
    state: TaskState
    requirements: Requirements
    attempts: int
    """how many there were"""
    submitted_at: str
    priority: int = 0
    parent_id: str | None = None
    device_id: str | None = None
    """where it runs, or ran last"""
    assigned_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    stopping: str | None = None
    """why its attempt was told to stop, while it has not ended: cancelled, timeout"""
    progress: float | None = None
    """of its current or last attempt, 0 to 1"""
    log: str | None = None
    """the end of what it printed"""
    result: Any = UNSET
    """its outcome: `{success: true, result}` or `{success: false, error, code}`"""
    reason: Reason | None = None
    """why it waits"""


class Outcome(StrEnum):
    """Why a task did not succeed: the `code` of its result."""

    EXIT = "EXIT"
    """its program ended with another status than 0, or its function raised"""
    TIMEOUT = "TIMEOUT"
    """its time was over"""
    OOM = "OOM"
    """it held more memory than it asked for"""
    LIMIT = "LIMIT"
    """of files or processes"""
    OUTPUT = "OUTPUT"
    """too much of it, or not what its command promises"""
    RETURNED = "RETURNED"
    """only from an agent: its owner wants the device back, so it should run elsewhere"""
    REFUSED = "REFUSED"
    """only from an agent: its owner runs nothing like it for this submitter, but another's may"""
    LOST = "LOST"
    """its device went away, and it may not be started again"""
    POISON = "POISON"
    """it was lost with one device after the other"""
    CANCELLED = "CANCELLED"
    """somebody asked for that"""
    REJECTED = "REJECTED"
    """the device has no such command, or may not run it"""
    INFEASIBLE = "INFEASIBLE"
    """no device of the pool could ever run it"""
    EXPIRED = "EXPIRED"
    """it waited for a device until its time was over"""


class Success(Struct, frozen=True):
    """A task's outcome when it did what was asked."""

    result: Any = None
    success: bool = True


class Failure(Struct, frozen=True):
    """A task's outcome when it did not, with the reason for people and for programs."""

    error: str
    code: str
    success: bool = False
    result: Any = UNSET
    """only of a Python function: `{exception}`, what it raised, as base64 of its pickle"""


class TaskResult(Struct, frozen=True, omit_defaults=True):
    """A result as an agent reports it; `outcome` tells which of the two it is."""

    success: bool
    result: Any = None
    error: Annotated[str, Meta(max_length=4096)] = ""
    code: Annotated[str, Meta(max_length=64)] = ""

    @property
    def outcome(self) -> Success | Failure:
        if self.success:
            return Success(self.result)
        result = UNSET if self.result is None else self.result
        return Failure(self.error or "the task failed", self.code or Outcome.EXIT, result=result)
