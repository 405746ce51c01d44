"""What every route takes and answers, in one table: /openapi.json is made of it."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from gateway import bodies
from gateway.allocations import AllocationWanted, CallId, Renewal
from gateway.faults import ANSWERS
from gateway.queries import OfRequester, OneMonth, OneTask, SomeDeeds, SomeTasks, WhoseTask
from gateway.tasks import Submission, WrappedSubmission
from gateway.token_routes import OF_ITS_KIND, Joining, TicketWanted, TokenWanted
from rpn import errors
from rpn.errors import RPNError
from rpn.model import Name, TaskInfo

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
TokenId = Annotated[str, Meta(pattern=r"^[0-9a-f]{12}\Z")]


class Media(NamedTuple):
    """What is no JSON."""

    type: str
    schema: dict[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}  # noqa: RUF012


class Told(NamedTuple):
    """How a refusal reaches a client."""

    status: int
    code: str


class Operation(NamedTuple):
    """One method of one route."""

    name: str
    summary: str
    answers: dict[int, Any]
    """what comes with each good status: a type that msgspec knows, `Media`, or None for no body"""
    errors: tuple[type[RPNError] | Told, ...] = ()
    """what it refuses, beside what every route like it does"""
    id: Any = None
    """the type of the `{...}` in its path"""
    query: type[Struct] | None = None
    headers: dict[str, Any] = {}  # noqa: RUF012
    """request headers that mean something to it, and their types"""
    takes: tuple[Any, ...] = ()
    """its body: one of these types, or `Media`"""
    may_be_empty: bool = False
    """the body may be left out"""
    tells: tuple[str, ...] = ()
    """headers of its good answers"""
    leads_to: dict[str, dict[str, str]] = {}  # noqa: RUF012
    """operations by name that its first good answer gives the parameters of"""
    counts: bool = True
    """it is counted by address, and needs the pool"""


_DOCUMENT = Media("application/json", {"type": "object"})
_BYTES = Media("application/octet-stream")
_ALLOCATION = {"id": "$response.body#/allocation/id"}
_TASK = {"id": "$response.body#/taskId", "submitter": "$response.body#/submitterId"}
_NO_SCHEDULER = (errors.NoAnswer, errors.QueueFull)
_BODY = (errors.BadMessage, errors.Slow)

_API = {
    "GET /": Operation(
        "status",
        "Who answers here; a browser that asks for text/html is sent to the page.",
        {200: bodies.Status, 302: None},
        tells=("Vary",),
    ),
    "GET /api/devices": Operation("list_devices", "All devices of the pool.", {200: bodies.DeviceList}),
    "GET /api/resources": Operation(
        "sum_resources", "What the pool has: plain sums of the last reports.", {200: bodies.Resourceful}
    ),
    "GET /api/stats": Operation("stats", "The pool in numbers.", {200: bodies.Stats}),
}
_POOL = {
    "GET /api/pool": Operation(
        "show_pool", "What there is, what is given away and what is left.", {200: bodies.PoolView}
    ),
    "GET /api/devices/{id}": Operation(
        "show_device",
        "One device, and what is given away of it.",
        {200: bodies.DeviceView},
        (errors.NotFound, *_NO_SCHEDULER),
        id=Name,
    ),
    "GET /api/usage": Operation(
        "usage",
        "Who gave and who used how much.",
        {200: bodies.UsageReport},
        (errors.BadMessage,),
        query=OneMonth,
    ),
    "GET /api/system": Operation("system", "How the parts of the pool are.", {200: bodies.SystemReport}),
    "GET /api/history": Operation(
        "history", "The last quarter of an hour of the pool.", {200: bodies.PoolHistory}
    ),
    "GET /api/history/{id}": Operation(
        "device_history",
        "The last quarter of an hour of a device.",
        {200: bodies.DeviceHistory},
        (errors.NotFound,),
        id=Name,
    ),
}
_ALLOCATIONS = {
    "GET /api/allocations": Operation(
        "list_allocations",
        "What is held, the newest 1,000.",
        {200: bodies.AllocationList},
        (errors.BadMessage,),
        query=OfRequester,
    ),
    "POST /api/allocations": Operation(
        "allocate",
        "Reserve resources: 201; 200 when nothing is reserved, with the reason, or after a dry run.",
        {201: bodies.AllocationAnswer, 200: bodies.AllocationAnswer},
        (*_BODY, errors.BadRequirements, errors.RequestConflict, *_NO_SCHEDULER),
        headers={"Idempotency-Key": CallId},
        takes=(AllocationWanted,),
        leads_to=dict.fromkeys(("show_allocation", "renew", "release"), _ALLOCATION),
    ),
    "GET /api/allocations/{id}": Operation(
        "show_allocation",
        "One allocation that is held, or the answer to a request that was not fulfilled.",
        {200: bodies.AllocationAnswer},
        (errors.NotFound,),
        id=CallId,
    ),
    "DELETE /api/allocations/{id}": Operation(
        "release",
        "Give an allocation back.",
        {200: bodies.ReleasedAllocation},
        (errors.BadMessage, errors.NotFound, errors.RequestConflict, *_NO_SCHEDULER),
        id=CallId,
    ),
    "POST /api/allocations/{id}/renew": Operation(
        "renew",
        "Hold an allocation for longer.",
        {200: bodies.AllocationAnswer},
        (*_BODY, errors.NotFound, errors.RequestConflict, *_NO_SCHEDULER),
        id=CallId,
        takes=(Renewal,),
        may_be_empty=True,
    ),
}
_TASKS = {
    "GET /api/tasks": Operation(
        "list_tasks",
        "The open tasks and those that ended last, the newest first.",
        {200: bodies.TaskPage},
        (errors.BadMessage,),
        query=SomeTasks,
    ),
    "POST /api/tasks": Operation(
        "submit",
        "Submit a task: 202; 200 when the same was submitted before and is over.",
        {202: bodies.TaskStanding, 200: bodies.TaskStanding},
        (*_BODY, errors.BadRequirements, errors.TaskConflict, errors.QueueFull, errors.TaskQuota),
        takes=(Submission, WrappedSubmission),
        leads_to=dict.fromkeys(("show_task", "cancel"), _TASK),
        tells=("Location",),
    ),
    "GET /api/tasks/{id}": Operation(
        "show_task",
        "One task, with its result or why it waits.",
        {200: TaskInfo},
        (errors.BadMessage, errors.NotFound, errors.AmbiguousTask),
        id=Name,
        query=OneTask,
    ),
    "DELETE /api/tasks/{id}": Operation(
        "cancel",
        "Cancel a task and what belongs to it: 202; 200 when it is over.",
        {202: bodies.TaskStanding, 200: bodies.TaskStanding},
        (errors.BadMessage, errors.NotFound, errors.AmbiguousTask, errors.QueueFull),
        id=Name,
        query=WhoseTask,
    ),
}
_BLOBS = {
    "PUT /api/blobs/{sha256}": Operation(
        "keep_blob",
        "Keep the body under the SHA-256 of its content: 201; 200 when it was there.",
        {201: bodies.KeptBlob, 200: bodies.KeptBlob},
        (*_BODY, errors.BlobMismatch, errors.BlobTooLarge, errors.BlobQuota),
        id=Sha256,
        takes=(_BYTES,),
        may_be_empty=True,
        leads_to={name: {"sha256": "$response.body#/blob"} for name in ("fetch_blob", "find_blob")},
    ),
    "GET /api/blobs/{sha256}": Operation(
        "fetch_blob",
        "The content of a blob.",
        {200: _BYTES},
        (errors.BadMessage, errors.NotFound),
        id=Sha256,
        tells=("ETag", "Cache-Control"),
    ),
    "HEAD /api/blobs/{sha256}": Operation(
        "find_blob",
        "Whether a blob is there.",
        {200: None},
        (errors.BadMessage, errors.NotFound),
        id=Sha256,
        tells=("ETag", "Cache-Control"),
    ),
}
_TOKENS = {
    "GET /api/tokens": Operation("list_tokens", "The tokens of the pool.", {200: bodies.TokenList}),
    "POST /api/tokens": Operation(
        "make_token",
        "Make a token; this answer alone shows the whole of it.",
        {201: bodies.TokenMade},
        _BODY,
        takes=(Annotated[TokenWanted, OF_ITS_KIND],),
        leads_to={"revoke_token": {"id": "$response.body#/id"}},
    ),
    "DELETE /api/tokens/{id}": Operation(
        "revoke_token",
        "Revoke a token; its connections are closed.",
        {200: bodies.TokenRevoked},
        (errors.NotFound,),
        id=TokenId,
    ),
    "POST /api/join": Operation(
        "join",
        "Become a device, by a join token.",
        {201: bodies.TokenMade},
        _BODY,
        takes=(Joining,),
    ),
    "POST /api/tickets": Operation(
        "make_ticket",
        "A ticket that a browser shows once instead of a token.",
        {201: bodies.Ticket},
        _BODY,
        takes=(TicketWanted,),
        may_be_empty=True,
    ),
    "GET /api/audit": Operation(
        "audit",
        "What was done about access, the newest first.",
        {200: bodies.DeedList},
        (errors.BadMessage,),
        query=SomeDeeds,
    ),
}
_OPERATORS = {
    "GET /livez": Operation("alive", "Whether this gateway lives.", {200: bodies.Health}, counts=False),
    "GET /readyz": Operation(
        "ready",
        "Whether this gateway serves; 404 while it goes away.",
        {200: bodies.Health},
        (Told(404, errors.Draining.code), errors.StoreUnavailable),
        counts=False,
    ),
    "GET /metrics": Operation(
        "metrics", "For Prometheus.", {200: Media("text/plain", {"type": "string"})}, counts=False
    ),
    "GET /openapi.json": Operation(
        "openapi", "This document.", {200: _DOCUMENT, 304: None}, tells=("ETag",), counts=False
    ),
    "GET /asyncapi.json": Operation(
        "asyncapi",
        "The messages of the WebSocket, as AsyncAPI.",
        {200: _DOCUMENT, 304: None},
        tells=("ETag",),
        counts=False,
    ),
    "GET /ui/": Operation(
        "page",
        "The page; its files are beside it.",
        {200: Media("text/html", {"type": "string"}), 304: None},
        tells=("ETag",),
        counts=False,
    ),
    "POST /ui/qr.svg": Operation(
        "qr_code",
        "The body, at most 1,000 bytes, as a QR code.",
        {200: Media("image/svg+xml", {"type": "string"})},
        _BODY,
        takes=(Media("text/plain", {"type": "string", "minLength": 1, "maxLength": 250}),),
    ),
}

OPERATIONS: dict[str, Operation] = {
    **_API,
    **_POOL,
    **_ALLOCATIONS,
    **_TASKS,
    **_BLOBS,
    **_TOKENS,
    **_OPERATORS,
}
"""by `METHOD /path`"""


def told(error: type[RPNError] | Told) -> Told:
    """How it reaches a client."""
    return error if isinstance(error, Told) else Told(ANSWERS[error].status, error.code)
