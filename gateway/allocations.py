"""`/api/allocations`: reserve, look, renew and give back, for callers that are no devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar
from uuid import uuid4

import msgspec
from msgspec import UNSET, Meta, Struct, field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.answers import json_response
from gateway.bearers import bearer_of
from gateway.bodies import AllocationAnswer, AllocationList, HeldAllocation, ReleasedAllocation
from gateway.callers import Callers
from gateway.guard import Guard, body_of
from gateway.limits import check_requirements, check_ttl
from gateway.names import Names, asks_as, check_asked
from gateway.queries import OfRequester, query_of
from gateway.rations import patron_of
from rpn.codec import decode_body, decode_from_server
from rpn.errors import BadMessage, NotFound, RequestConflict, RPNError
from rpn.messages import AllocationUpdate, Error, ResourceAllocation
from rpn.model import Name, Requirements
from rpn.settings import GatewaySettings
from rpn.store.allocations import AllocationStore
from rpn.store.calls import Calls, Entered
from rpn.store.records import AllocationRecord, Call, Patron, ReleaseEntry, RenewEntry, RequestEntry
from rpn.store.steps import Step

REQUESTER = "rest"
"""what a caller is called that does not name itself"""
LIST_LIMIT = 1000
"""allocations in one answer, the newest"""

CallId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:~-]{1,128}\Z")]
"""an id that can stand in a path as it is"""
Ttl = Annotated[float, Meta(ge=0.1, le=30 * 86400)]
"""seconds; what ends sooner could not be given back any more"""
_call_id = msgspec.json.Decoder(CallId)
T = TypeVar("T")
_REFUSALS: dict[str, type[RPNError]] = {each.code: each for each in (NotFound, RequestConflict)}


_ASKS = Meta(
    extra_json_schema={
        "anyOf": [
            {"required": ["cpu"], "properties": {"cpu": {"exclusiveMinimum": 0}}},
            {"required": ["memory"], "properties": {"memory": {"exclusiveMinimum": 0}}},
            {"required": ["storage"], "properties": {"storage": {"exclusiveMinimum": 0}}},
            {"required": ["gpu"], "properties": {"gpu": {"const": True}}},
        ]
    }
)
"""what `check_requirements` checks"""


class AllocationWanted(Struct, frozen=True, rename="camel"):
    """The body of a POST."""

    requirements: Annotated[Requirements, _ASKS]
    ttl_s: Ttl | None = field(default=None, name="ttl")
    dry_run: bool = False
    requester: Name = REQUESTER
    id: CallId | None = None
    """under which it may be asked again; the allocation's"""


class Renewal(Struct, frozen=True, rename="camel"):
    """The body of a renewal."""

    ttl_s: Ttl | None = field(default=None, name="ttl")


class AllocationRoutes:
    """The routes; what they change, the scheduler decides."""

    def __init__(
        self,
        settings: GatewaySettings,
        guard: Guard,
        names: Names,
        callers: Callers,
        calls: Calls,
        store: AllocationStore,
    ) -> None:
        self._ttl_s = settings.allocation_ttl_s
        self._ttl_limit_s = settings.allocation_ttl_limit_s
        self._guard = guard
        self._names = names
        self._callers = callers
        self._calls = calls
        self._store = store

    def routes(self) -> list[Route]:
        return [
            Route("/api/allocations", self._guard(self._list), methods=["GET"]),
            Route("/api/allocations", self._guard(self._post), methods=["POST"]),
            Route("/api/allocations/{id}", self._guard(self._get), methods=["GET"]),
            Route("/api/allocations/{id}", self._guard(self._delete), methods=["DELETE"]),
            Route("/api/allocations/{id}/renew", self._guard(self._renew), methods=["POST"]),
        ]

    # --- what is held -------------------------------------------------------------------------

    async def _list(self, request: Request) -> Response:
        requester = query_of(OfRequester, request).requester
        records = [
            record
            for record in await self._store.held()
            if requester is UNSET or record.requester_id == requester
        ]
        newest = sorted(records, key=lambda each: (-each.created_ms, each.id))[:LIST_LIMIT]
        return json_response(AllocationList(allocations=[_held(each) for each in newest], total=len(records)))

    async def _get(self, request: Request) -> Response:
        allocation_id = request.path_params["id"]
        record = await self._store.get(allocation_id)
        if record is not None:
            return json_response(_held(record))
        refused = await self._not_reserved(allocation_id)
        if refused is None:
            raise NotFound(f"there is no allocation {allocation_id}")
        return json_response(_answer(refused))

    async def _not_reserved(self, allocation_id: str) -> ResourceAllocation | None:
        """The answer to a request under this id that reserved nothing, while it is remembered."""
        answer = await self._calls.answer(allocation_id)
        message = decode_from_server(answer) if answer else None
        return message if isinstance(message, ResourceAllocation) and not _reserved(message) else None

    # --- what changes it ----------------------------------------------------------------------

    async def _post(self, request: Request) -> Response:
        """201 when it is reserved, 200 when it is not: refused, or a dry run."""
        body = await body_of(request)
        ask = decode_body(AllocationWanted, body)
        check_requirements(ask.requirements)
        ttl_s = self._ttl_s if ask.ttl_s is None else ask.ttl_s
        check_ttl(ttl_s, self._ttl_limit_s)
        named = _named(request, ask)
        allocation_id = named or str(uuid4())
        bearer = bearer_of(request.scope)
        self._names.check(bearer, ask.requester)
        patron = patron_of(bearer)
        message = await self._asked(ask, allocation_id, int(ttl_s * 1000), patron, again=bool(named))
        return json_response(_answer(message), status=201 if _reserved(message) else 200)

    async def _asked(
        self,
        ask: AllocationWanted,
        allocation_id: str,
        ttl_ms: int,
        patron: Patron | None,
        *,
        again: bool,
    ) -> ResourceAllocation:
        """The answer to a request; one that its caller cannot ask again is withdrawn if none comes."""
        asked = msgspec.json.encode(msgspec.structs.replace(ask, id=allocation_id), order="deterministic")

        def step(call: Call) -> Step[Entered]:
            entry = RequestEntry(
                allocation_id,
                ask.requester,
                "",
                ask.requirements,
                releases=True,
                ttl_ms=ttl_ms,
                dry_run=ask.dry_run,
                explains=True,
                call=call,
                patron=patron,
            )
            return self._calls.request(call.id, asked, entry)

        def withdraw() -> Step[Entered]:
            entry = ReleaseEntry(ask.requester, allocation_id, withdraws=True)
            return self._calls.request(f"withdraw {allocation_id}", b"", entry)

        answer = await self._callers.ask(allocation_id, step, withdraw=None if again else withdraw)
        return _expect(ResourceAllocation, answer)

    async def _renew(self, request: Request) -> Response:
        renewal = decode_body(Renewal, await body_of(request) or b"{}")
        ttl_s = self._ttl_s if renewal.ttl_s is None else renewal.ttl_s
        check_ttl(ttl_s, self._ttl_limit_s)
        allocation_id = await self._asked_about(request)

        def step(call: Call) -> Step[Entered]:
            entry = RenewEntry("", allocation_id, int(ttl_s * 1000), call=call)
            return self._calls.request(call.id, b"", entry)

        update = await self._updated(allocation_id, step)
        return json_response(AllocationAnswer(allocation=update.allocation, expires_at=update.expires_at))

    async def _delete(self, request: Request) -> Response:
        allocation_id = await self._asked_about(request)

        def step(call: Call) -> Step[Entered]:
            return self._calls.request(call.id, b"", ReleaseEntry("", allocation_id, call=call))

        update = await self._updated(allocation_id, step)
        return json_response(ReleasedAllocation(allocation=update.allocation))

    async def _asked_about(self, request: Request) -> str:
        """The allocation that the path names. Raises Forbidden if it is another's to change."""
        allocation_id: str = request.path_params["id"]
        bearer = bearer_of(request.scope)
        record = await self._store.get(allocation_id) if asks_as(bearer) else None
        if record is not None:
            check_asked(bearer, record.patron, allocation_id)
        return allocation_id

    async def _updated(self, allocation_id: str, step: Callable[[Call], Step[Entered]]) -> AllocationUpdate:
        """What became of an allocation. Raises what the change was refused with."""
        try:
            return _expect(AllocationUpdate, await self._callers.ask(str(uuid4()), step))
        except NotFound:
            if await self._not_reserved(allocation_id) is None:
                raise
        raise RequestConflict(f"nothing was reserved under {allocation_id}")


def _named(request: Request, ask: AllocationWanted) -> str:
    """The id that the caller gave, in the body or as Idempotency-Key; empty if none."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return ask.id or ""
    try:
        name = _call_id.decode(msgspec.json.encode(key))
    except msgspec.ValidationError:
        raise BadMessage("an Idempotency-Key has 1 to 128 of A-Z a-z 0-9 . _ : ~ -") from None
    if ask.id not in (None, name):
        raise RequestConflict("`id` and Idempotency-Key differ: give one of them")
    return name


def _expect(kind: type[T], answer: bytes) -> T:
    """The scheduler's answer. Raises what it refused with."""
    message = decode_from_server(answer)
    if isinstance(message, Error):
        raise _REFUSALS.get(message.code, BadMessage)(message.error)
    assert isinstance(message, kind), message  # noqa: S101 - the same call id never stands for two kinds
    return message


def _reserved(message: ResourceAllocation) -> bool:
    return message.allocation.fulfilled and not message.dry_run


def _answer(message: ResourceAllocation) -> AllocationAnswer:
    return AllocationAnswer(
        allocation=message.allocation,
        reason=message.reason,
        dry_run=message.dry_run,
        expires_at=message.expires_at,
    )


def _held(record: AllocationRecord) -> HeldAllocation:
    return HeldAllocation(allocation=record.allocation, expires_at=record.expires_at or UNSET)
