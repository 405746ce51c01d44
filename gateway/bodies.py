"""What the REST routes answer with, beside the words of `rpn.model`: handlers return these."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from rpn.model import (
    Allocation,
    Capabilities,
    Device,
    DeviceLoad,
    Labels,
    PoolTotals,
    PoolUsage,
    Reason,
    Sum,
    TaskInfo,
    TaskState,
    Usage,
)
from rpn.store.vitals import Vitals
from rpn.tokens import TokenKind


class Body(Struct, frozen=True, rename="camel"):
    """A JSON object of an answer."""


class Refusal(Body, frozen=True):
    """Every answer that is neither 2xx nor 3xx."""

    error: str
    """for people"""
    code: str
    """for programs; it stays what it is"""


# --- API.md -----------------------------------------------------------------------------------


class Status(Body, frozen=True, kw_only=True):
    """Who answers here."""

    service: Literal["Resource Pooling Network"] = "Resource Pooling Network"
    version: Literal["1.0.0"] = "1.0.0"
    """of the API"""
    devices: int
    status: Literal["online"] = "online"


class DeviceList(Body, frozen=True):
    """All devices of the pool."""

    devices: list[Device]


class Resourceful(Body, frozen=True):
    """What the pool has, summed up."""

    pool: PoolTotals


class Stats(Body, frozen=True):
    """The pool in numbers."""

    devices: int
    resources: PoolTotals
    uptime: int
    """whole seconds of this gateway"""


# --- the pool ---------------------------------------------------------------------------------


class DeviceCount(Body, frozen=True):
    """How many devices there are."""

    total: int
    online: int
    by_platform: dict[str, int]


class TaskCount(Body, frozen=True):
    """How many tasks are open."""

    queued: int
    running: int


class Pool(Body, frozen=True):
    """What there is, what is given away and what is left, as of the scheduler's last decision."""

    devices: DeviceCount
    total: Sum
    """what the devices have, idle or not"""
    reported: PoolTotals
    """plain sums of the devices' last reports"""
    allocated: Sum
    """to allocations and to tasks"""
    free: Sum
    """what could be given away now"""
    allocations: int
    tasks: TaskCount


class PoolView(Body, frozen=True):
    """How the pool stands."""

    pool: Pool


class DeviceView(Body, frozen=True):
    """One device, what it told about itself, and what is given away of it."""

    device: Device
    labels: Labels
    capabilities: Capabilities
    accepts: list[str]
    pool_usage: PoolUsage | None
    """how much of its usage is the pool's own work"""
    load: DeviceLoad


class DeviceUsage(Usage, frozen=True, rename="camel", kw_only=True):
    """What a device gave."""

    device_id: str


class SubmitterUsage(Usage, frozen=True, rename="camel", kw_only=True):
    """What a submitter used."""

    submitter_id: str


class UsageReport(Body, frozen=True):
    """Who gave and who used how much; whoever did most comes first."""

    months: list[str]
    """UTC, like 2026-11"""
    devices: list[DeviceUsage]
    submitters: list[SubmitterUsage]


# --- allocations, tasks, blobs ----------------------------------------------------------------


class HeldAllocation(Body, frozen=True):
    """An allocation as it is held."""

    allocation: Allocation
    expires_at: str | UnsetType = UNSET
    """unless renewed; not of one that lives as long as its requester is in the pool"""


class AllocationAnswer(Body, frozen=True, omit_defaults=True):
    """The answer to a request for resources."""

    allocation: Allocation
    reason: Reason | None = None
    """why it is not fulfilled"""
    dry_run: bool = False
    """nothing was reserved, only looked for"""
    expires_at: str | None = None


class AllocationList(Body, frozen=True):
    """What is held, the newest first."""

    allocations: list[HeldAllocation]
    total: int
    """how many there are, listed or not"""


class ReleasedAllocation(Body, frozen=True):
    """An allocation that is over: it has no shares any more."""

    allocation: Allocation


class TaskStanding(Body, frozen=True):
    """Where a task is, right after it was submitted or cancelled."""

    task_id: str
    submitter_id: str
    state: TaskState
    result: Any = UNSET
    """its outcome, if it is over: `{success: true, result}` or `{success: false, error, code}`"""


class TaskPage(Body, frozen=True):
    """Some tasks, the newest first; a page may be short, even empty, while there is a cursor."""

    tasks: list[TaskInfo]
    cursor: str | None
    """where the next page begins; null: this was the last"""


class KeptBlob(Body, frozen=True):
    """A blob that is there."""

    blob: str
    """the SHA-256 of its content, 64 digits"""
    size: int
    """bytes"""


# --- operators --------------------------------------------------------------------------------


class Health(Body, frozen=True):
    """How this gateway is."""

    status: Literal["alive", "ready"]


class GatewayStanding(Body, frozen=True):
    """One gateway of the pool."""

    id: str
    lease_ms: int | None
    """until its lease ends, negative when it is over; null before it had a device"""
    devices: int
    vitals: Vitals | None
    """null when it has told none lately"""


class Leader(Body, frozen=True):
    """The scheduler that leads."""

    fence: str
    lease_ms: int


class QueueLength(Body, frozen=True):
    """How much waits for the scheduler."""

    open_tasks: int
    waiting: int
    """entries that it has not dealt with"""


class SystemReport(Body, frozen=True):
    """How the parts of the pool are."""

    pool: str
    gateways: list[GatewayStanding]
    leader: Leader | None
    queue: QueueLength


class Moment(Body, frozen=True):
    """The pool's totals at one step, and what was used of them: core-percent, MB, MB, GPUs."""

    step: int
    cpu_total: float
    cpu_used: float
    memory_total: float
    memory_used: float
    storage_total: float
    storage_used: float
    gpu_total: float
    gpu_used: float


class CpuHistory(Body, frozen=True):
    """A device's CPU, percent of the whole device; -1 where nothing is known."""

    cpu: list[int]


class PoolHistory(Body, frozen=True):
    """The last quarter of an hour of the pool, as this gateway saw it."""

    step_seconds: int
    step: int
    """the last one, counted in steps since 1970"""
    pool: list[Moment]
    devices: dict[str, CpuHistory]
    """by id; empty in a pool of many"""


class DeviceHistory(CpuHistory, frozen=True):
    """The last quarter of an hour of one device, percent; -1 where nothing is known."""

    step_seconds: int
    step: int
    memory: list[int]
    gpu: list[int]


# --- tokens -----------------------------------------------------------------------------------


class TokenQuota(Body, frozen=True, omit_defaults=True):
    """What one token may take; what is missing is as much as anybody."""

    messages_per_s: int = 0
    connections: int = 0
    open_tasks: int = 0
    share_percent: int = 0


class TokenShown(Body, frozen=True):
    """A token without what only its bearer knows."""

    id: str
    kind: TokenKind
    name: str
    created_at: str
    expires_at: str | None
    labels: Labels
    """what a device that joins by it must carry"""
    uses_left: int | UnsetType | None = UNSET
    """of a join token; null: any number"""
    device_id: str | UnsetType | None = UNSET
    """of a device token: the one it speaks for; null before its first"""
    proves_key: bool | UnsetType = UNSET
    """of a device token: who registers by it must prove that it has the key"""
    quota: TokenQuota | UnsetType = UNSET


class TokenMade(TokenShown, frozen=True, kw_only=True):
    """A new token: the only time that anybody sees the whole of it."""

    token: str


class TokenList(Body, frozen=True):
    """The tokens of the pool."""

    tokens: list[TokenShown]


class TokenRevoked(Body, frozen=True):
    """A token that is good for nothing any more."""

    revoked: str
    """its id"""


class Ticket(Body, frozen=True):
    """What a browser shows once instead of a token."""

    ticket: str
    expires_in_s: float


class DeedTold(Body, frozen=True):
    """One thing that somebody did or was refused."""

    at: str
    who: str
    what: str
    outcome: str
    address: str
    times: int
    """how often within the same second"""


class DeedList(Body, frozen=True):
    """What was done about access, the newest first."""

    deeds: list[DeedTold]
