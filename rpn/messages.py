"""Every message of the WebSocket, both ways; the types here are the protocol's schema.

`Register` to `TaskSubmit` and `Devices` to `TaskResultMessage` are API.md's. All others are
opt-in: a client that did not ask for them at `register` never receives one, `Error` aside.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from rpn.model import (
    Allocation,
    Capabilities,
    Device,
    Labels,
    Name,
    PoolUsage,
    Reason,
    Requirements,
    Resources,
    Seconds,
    Task,
    TaskResult,
)


class Message(Struct, frozen=True, tag_field="type", rename="camel", kw_only=True):
    """What travels in one text frame: a JSON object whose `type` names its class."""


class Request(Message, frozen=True, kw_only=True):
    """A message from a client; its `requestId`, if any, comes back in the answer."""

    request_id: Name | None = None


# --- from clients: API.md ---------------------------------------------------------------------


class RunningAttempt(Struct, frozen=True, rename="camel"):
    """An attempt that an agent is running or has finished."""

    task_id: Name
    attempt: Name


class FinishedAttempt(RunningAttempt, frozen=True):
    """An attempt that ended while the agent was cut off, with its result."""

    result: TaskResult


Accepts = frozenset[Literal["tasks", "events", "acks", "results"]]
"""`tasks`: runs tasks; `events`: wants to know what happens; `acks`: acknowledges results; `results`: of
its own tasks it hears that they are in and how they ended, and nothing in between"""


class Register(Request, frozen=True, tag="register"):
    """Join the pool as a device; everything after `platform` is opt-in."""

    device_id: Name
    device_name: Name
    platform: Name
    labels: Labels = {}
    capabilities: Capabilities = {}
    proof: Annotated[str, Meta(max_length=128)] = ""
    """of a device whose token has a key: base64 of the signature over the handshake's nonce"""
    accepts: Accepts = frozenset()
    receives: Literal["all", "none"] = "all"
    """`none`: no broadcasts, only what is addressed to this device"""
    running: list[RunningAttempt] | None = None
    """all attempts this agent runs; what it was assigned and does not list is lost"""
    finished: list[FinishedAttempt] = []


class Heartbeat(Request, frozen=True, tag="heartbeat"):
    """The device is still there."""

    device_id: Name


class ResourceUpdate(Request, frozen=True, tag="resource_update"):
    """A device's latest measurement: it replaces the one before."""

    device_id: Name
    resources: Resources
    pool_usage: PoolUsage | None = None
    """only from agents: how much of the usage is the pool's own work"""


class ResourceRequest(Request, frozen=True, tag="resource_request"):
    """Reserve resources, on one device or over several."""

    device_id: Name
    requirements: Requirements
    ttl_s: Seconds | None = field(default=None, name="ttl")
    """opt-in: seconds it is held unless renewed; by default as long as the requester is in the pool"""
    dry_run: bool = False
    """opt-in: answer what would be allocated now, and reserve nothing"""


class TaskSubmit(Request, frozen=True, tag="task_submit"):
    """Run a task on a suitable device and send its result back."""

    task: Task


# --- from clients: extensions -----------------------------------------------------------------


class Observe(Request, frozen=True, tag="observe"):
    """Watch the pool without being a device."""

    accepts: frozenset[Literal["events"]] = frozenset()


class Ping(Request, frozen=True, tag="ping"):
    """How far away is the gateway? It answers `pong` with the same `requestId`."""


class AllocationRenew(Request, frozen=True, tag="allocation_renew"):
    """Hold an allocation for `ttl` seconds from now."""

    allocation_id: Name
    ttl_s: Seconds = field(name="ttl")


class ResourceRelease(Request, frozen=True, tag="resource_release"):
    """Give an allocation back."""

    allocation_id: Name


class TaskCancel(Request, frozen=True, tag="task_cancel"):
    """Stop one of this device's own tasks, wherever it is."""

    task_id: Name


class TaskStarted(Request, frozen=True, tag="task_started"):
    """An agent began an attempt."""

    task_id: Name
    attempt: Name


class TaskProgressReport(Request, frozen=True, tag="task_progress"):
    """An agent tells how far an attempt is, what it printed, or both."""

    task_id: Name
    attempt: Name
    progress: Annotated[float, Meta(ge=0, le=1)] | None = None
    log: Annotated[str, Meta(max_length=65_536)] | None = None


class TaskDone(Request, frozen=True, tag="task_done"):
    """An attempt ended; repeated until acknowledged."""

    task_id: Name
    attempt: Name
    result: TaskResult


class Ack(Request, frozen=True, tag="ack"):
    """Received and kept, in either direction.

    From a client: ids of the tasks and allocations whose answers it has. To an agent: the
    attempts whose results the pool has.
    """

    ids: Annotated[list[Name], Meta(max_length=10_000)]


FromClient = (
    Register
    | Heartbeat
    | ResourceUpdate
    | ResourceRequest
    | TaskSubmit
    | Observe
    | Ping
    | AllocationRenew
    | ResourceRelease
    | TaskCancel
    | TaskStarted
    | TaskProgressReport
    | TaskDone
    | Ack
)


# --- from the server: API.md ------------------------------------------------------------------


class Devices(Message, frozen=True, tag="devices"):
    """All devices of the pool, the receiver included."""

    devices: list[Device]


class DeviceJoined(Message, frozen=True, tag="device_joined"):
    """A device came into the pool; everybody hears it but the device itself."""

    device: Device


class DeviceLeft(Message, frozen=True, tag="device_left"):
    """A device left the pool."""

    device_id: str


class ResourceChanged(Message, frozen=True, tag="resource_update"):
    """A device's latest measurement, relayed to everybody."""

    device_id: str
    resources: Resources


class ResourceAllocation(Message, frozen=True, tag="resource_allocation", omit_defaults=True):
    """The answer to a resource request, to the requester alone."""

    allocation: Allocation
    request_id: str | None = None
    reason: Reason | None = None
    """why it is not fulfilled; only to clients that opted in"""
    dry_run: bool = False
    """nothing was reserved; only in the answer to a dry run"""
    expires_at: str | None = None
    """when it ends unless renewed; only if it was asked for with a `ttl`"""


_OUTCOME = {"type": "object", "properties": {"success": {"type": "boolean"}}, "required": ["success"]}


class TaskResultMessage(Message, frozen=True, tag="task_result"):
    """A task's one outcome, to its submitter alone."""

    task_id: str
    result: Annotated[Any, Meta(extra_json_schema=_OUTCOME)]
    """`{success: true, result}` or `{success: false, error, code}`"""


# --- from the server: extensions --------------------------------------------------------------


class Error(Message, frozen=True, tag="error", omit_defaults=True):
    """A message was refused; nothing has changed."""

    error: str
    code: str
    request_id: str | None = None


class Pong(Message, frozen=True, tag="pong", omit_defaults=True):
    """The answer to a `ping`, after everything that was said before it."""

    request_id: str | None = None


class AllocationUpdate(Message, frozen=True, tag="allocation_update", omit_defaults=True):
    """To a holder that opted in: what it holds has changed."""

    allocation: Allocation
    """as it is now; without shares when it is over"""
    change: Literal["replaced", "reduced", "renewed", "released", "expired"]
    """a lost share was replaced, or could not be; it is held longer; given back; its time was over"""
    lost_device_id: str | None = None
    expires_at: str | None = None
    request_id: str | None = None


class TaskAssign(Message, frozen=True, tag="task_assign", omit_defaults=True):
    """Run this, in these limits; the same (task, attempt) twice is one assignment."""

    task_id: str
    attempt: str
    task_type: str
    submitter_id: str
    requirements: Requirements
    data: dict[str, Any]
    timeout_s: float | None = field(default=None, name="timeout")


class TaskCancelled(Message, frozen=True, tag="task_cancel", omit_defaults=True):
    """To an agent: stop this attempt; it is not wanted any more."""

    task_id: str
    attempt: str
    reason: str = ""


class TaskStatus(Message, frozen=True, tag="task_status", omit_defaults=True):
    """To a submitter that opted in: its task changed state."""

    task_id: str
    state: str
    device_id: str | None = None
    attempts: int = 0
    request_id: str | None = None
    reason: Reason | None = None
    """why it waits"""


class TaskProgress(Message, frozen=True, tag="task_progress", omit_defaults=True):
    """To a submitter that opted in: how far its task is, what it printed."""

    task_id: str
    progress: float | None = None
    log: str | None = None


class Acked(Message, frozen=True, tag="ack"):
    """To an agent: the pool has the results of these attempts."""

    ids: list[str]


class PoolEvent(Message, frozen=True, tag="pool_event", omit_defaults=True):
    """To clients that accept `events`: something happened in the pool; at most 20 a second a kind."""

    kind: Literal["device_joined", "device_left", "task", "allocation", "leader", "gateway", "policy"]
    at: str
    """UTC, ISO 8601 with milliseconds and Z"""
    device_id: str | None = None
    task_id: str | None = None
    submitter_id: str | None = None
    allocation_id: str | None = None
    gateway_id: str | None = None
    state: str | None = None
    """of a task: where it is now; of an allocation: held, refused, freed; of a gateway: up, down"""
    reason: str | None = None
    """of a device that left: closed, cut, silent; else for people"""


class ServerDraining(Message, frozen=True, tag="server_draining"):
    """To clients that opted in: this gateway goes away; come back after so long."""

    reconnect_after_ms: int


FromServer = (
    Devices
    | DeviceJoined
    | DeviceLeft
    | ResourceChanged
    | ResourceAllocation
    | AllocationUpdate
    | TaskResultMessage
    | Error
    | TaskAssign
    | TaskCancelled
    | TaskStatus
    | TaskProgress
    | Acked
    | Pong
    | PoolEvent
    | ServerDraining
)
