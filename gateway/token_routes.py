"""`/api/tokens`, `/api/join`, `/api/tickets`, `/api/audit`: who may do what, made and unmade."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.answers import json_response
from gateway.auditor import Auditor
from gateway.bearers import bearer_of
from gateway.bodies import (
    DeedList,
    DeedTold,
    Ticket,
    TokenList,
    TokenMade,
    TokenQuota,
    TokenRevoked,
    TokenShown,
)
from gateway.guard import Guard, body_of
from gateway.keyring import Keyring
from gateway.names import Names
from gateway.queries import SomeDeeds, query_of
from rpn.codec import decode_body
from rpn.errors import BadMessage, Forbidden, NotFound, Unauthorized
from rpn.model import Label, Labels, Name, Seconds
from rpn.replica import iso
from rpn.store.audit import Audit, Deed
from rpn.store.tickets import Tickets
from rpn.store.tokens import ANY_NUMBER, NO_END, Quota, TokenRecord, TokenStore
from rpn.tokens import TokenKind, make_token

JOIN_LASTS_S = 15 * 60
TICKET_LASTS_S, TICKET_LIMIT_S = 30, 600
"""how long a ticket waits for its one use: unless told, and at most"""
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
S = TypeVar("S", bound=TokenShown)


PublicKey = Annotated[str, Meta(pattern=r"^([A-Za-z0-9+/]{43}=)?\Z")]


class QuotaWanted(Struct, frozen=True, rename="camel"):
    """A token's quota; 0 is as much as anybody."""

    messages_per_s: Count = 0
    connections: Count = 0
    open_tasks: Count = 0
    share_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    """of the pool's cores, memory, storage and GPUs, held at once by all that it asked for"""


class TokenWanted(Struct, frozen=True, rename="camel"):
    """The body of `POST /api/tokens`."""

    kind: TokenKind
    name: Label = ""
    expires_in_s: Seconds | None = None
    """a join token's default is 15 minutes, the others have no end"""
    uses: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """of a join token; 1 unless told"""
    labels: Labels = {}
    device_id: Name | None = None
    quota: QuotaWanted = QuotaWanted()


OF_ITS_KIND = Meta(
    extra_json_schema={
        "anyOf": [
            {"properties": {"kind": {"const": "join"}, "deviceId": {"type": "null"}}},
            {"properties": {"kind": {"const": "device"}, "uses": {"type": "null"}}},
            {"properties": {"deviceId": {"type": "null"}, "uses": {"type": "null"}}},
        ]
    }
)
"""only a join token is used up, only a device token speaks for a device"""


class Joining(Struct, frozen=True, rename="camel"):
    """The body of `POST /api/join`."""

    device_id: Name
    public_key: PublicKey = ""
    """Ed25519, base64; none: its token alone will speak for it"""


class TicketWanted(Struct, frozen=True, rename="camel"):
    """The body of `POST /api/tickets`, which may be empty."""

    lasts_s: Annotated[float, Meta(ge=0.1, le=TICKET_LIMIT_S)] = TICKET_LASTS_S


class TokenRoutes:
    """The routes of a pool with tokens."""

    def __init__(
        self,
        guard: Guard,
        keyring: Keyring,
        names: Names,
        store: TokenStore,
        tickets: Tickets,
        audit: Audit,
        auditor: Auditor,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._guard = guard
        self._keyring = keyring
        self._names = names
        self._store = store
        self._tickets = tickets
        self._audit = audit
        self._auditor = auditor
        self._now_ms = now_ms

    def routes(self) -> list[Route]:
        return [
            Route("/api/tokens", self._guard(self._list), methods=["GET"]),
            Route("/api/tokens", self._guard(self._create), methods=["POST"]),
            Route("/api/tokens/{id}", self._guard(self._revoke), methods=["DELETE"]),
            Route("/api/join", self._guard(self._join), methods=["POST"]),
            Route("/api/tickets", self._guard(self._ticket), methods=["POST"]),
            Route("/api/audit", self._guard(self._deeds), methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        await self._keyring.refresh()
        return json_response(
            TokenList(tokens=[_shown(TokenShown, record) for record in self._keyring.records()])
        )

    async def _create(self, request: Request) -> Response:
        """201 with the token: the only time that anybody sees it."""
        wanted = decode_body(TokenWanted, await body_of(request))
        token = make_token(wanted.kind)
        record = self._record(wanted, token.id, token.digest)
        if not await self._store.create(record):
            raise Forbidden(f"{wanted.device_id} has a token already: revoke that first")
        await self._keyring.refresh()
        self._note(request, f"create {wanted.kind} token {token.id}")
        return json_response(_shown(TokenMade, record, token=token.text), status=201)

    def _record(self, wanted: TokenWanted, token_id: str, digest: bytes) -> TokenRecord:
        joins = wanted.kind is TokenKind.JOIN
        lasts_s = wanted.expires_in_s or (JOIN_LASTS_S if joins else None)
        if wanted.uses is not None and not joins:
            raise BadMessage("only a join token is used up")
        if wanted.device_id is not None and wanted.kind is not TokenKind.DEVICE:
            raise BadMessage("only a device token speaks for a device")
        now_ms = self._now_ms()
        return TokenRecord(
            token_id,
            wanted.kind,
            digest,
            wanted.name,
            now_ms,
            expires_ms=NO_END if lasts_s is None else now_ms + int(lasts_s * 1000),
            uses_left=(wanted.uses or 1) if joins else ANY_NUMBER,
            labels=wanted.labels,
            device_id=wanted.device_id or "",
            quota=Quota(*msgspec.structs.astuple(wanted.quota)),
        )

    async def _revoke(self, request: Request) -> Response:
        await self._keyring.refresh()
        token_id = request.path_params["id"]
        record = self._keyring.get(token_id)
        if record is None or not await self._store.revoke(record):
            raise NotFound(f"there is no token {token_id}")
        await self._keyring.refresh()
        self._keyring.on_change()
        self._note(request, f"revoke {record.kind} token {token_id}")
        return json_response(TokenRevoked(revoked=token_id))

    async def _join(self, request: Request) -> Response:
        """201 with a token that speaks for this device alone."""
        joining = decode_body(Joining, await body_of(request))
        self._names.check(bearer_of(request.scope), joining.device_id)
        token = make_token(TokenKind.DEVICE)
        device = TokenRecord(
            token.id,
            TokenKind.DEVICE,
            token.digest,
            "",
            self._now_ms(),
            device_id=joining.device_id,
            public_key=base64.b64decode(joining.public_key),
        )
        device = await self._spent(bearer_of(request.scope).id, device)
        self._note(request, f"join as {joining.device_id}")
        return json_response(_shown(TokenMade, device, token=token.text), status=201)

    async def _spent(self, join_id: str, device: TokenRecord) -> TokenRecord:
        """The device's token with what the join token gives it. Raises Unauthorized or Forbidden."""
        while True:
            await self._keyring.refresh()
            join = self._keyring.get(join_id)
            if join is None:
                raise Unauthorized("this join token is spent, or its time is over")
            if self._keyring.owner_of(device.device_id):  # two may join as one at this moment
                raise Forbidden(f"{device.device_id} has a token already: revoke that first")
            device = replace(device, name=join.name, labels=join.labels, quota=join.quota)
            if await self._store.spend(join, device):  # else another machine was faster: look again
                await self._keyring.refresh()
                return device

    async def _ticket(self, request: Request) -> Response:
        lasts_s = decode_body(TicketWanted, await body_of(request) or b"{}").lasts_s
        ticket = await self._tickets.issue(bearer_of(request.scope).id, lasts_s=lasts_s)
        return json_response(Ticket(ticket=ticket, expires_in_s=lasts_s), status=201)

    async def _deeds(self, request: Request) -> Response:
        await self._auditor.flush()
        newest = await self._audit.newest(query_of(SomeDeeds, request).limit)
        return json_response(DeedList(deeds=[_told(at_ms, deed) for at_ms, deed in newest]))

    def _note(self, request: Request, what: str) -> None:
        address = request.client.host if request.client else ""
        self._auditor.note(bearer_of(request.scope).name, what, "done", address)


def _shown(kind: type[S], record: TokenRecord, **more: Any) -> S:
    """A token without what only its bearer knows, unless `more` tells it."""
    quota = TokenQuota(**msgspec.structs.asdict(record.quota))
    return kind(
        id=record.id,
        kind=record.kind,
        name=record.name,
        created_at=iso(record.created_ms),
        expires_at=iso(record.expires_ms) if record.expires_ms != NO_END else None,
        labels=record.labels,
        quota=quota if quota != TokenQuota() else UNSET,
        **_of_its_kind(record),
        **more,
    )


def _of_its_kind(record: TokenRecord) -> dict[str, Any]:
    """What only join tokens have, or only device tokens."""
    if record.kind is TokenKind.JOIN:
        return {"uses_left": None if record.uses_left == ANY_NUMBER else record.uses_left}
    if record.kind is TokenKind.DEVICE:
        return {"device_id": record.device_id or None, "proves_key": bool(record.public_key)}
    return {}


def _told(at_ms: int, deed: Deed) -> DeedTold:
    return DeedTold(at=iso(at_ms), **msgspec.structs.asdict(deed))
