"""Finds out who asks and whether they may; whoever guesses at tokens is soon not listened to."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Scope

from gateway.auditor import Auditor
from gateway.bearers import EVERYONE, Bearer
from gateway.guesses import Guesses
from gateway.keyring import Keyring
from gateway.metrics import Counters
from gateway.roles import Action, needed
from rpn.errors import Forbidden, RateLimited, StoreUnavailable, Unauthorized
from rpn.store.tickets import Tickets
from rpn.tokens import TICKET_PREFIX, parse_token


class Gatekeeper:
    """Admits a request or a connection; in a pool without tokens, everybody."""

    def __init__(
        self, keyring: Keyring | None, tickets: Tickets, auditor: Auditor, counters: Counters
    ) -> None:
        """`keyring` None: RPN_AUTH is open."""
        self._keyring = keyring
        self._tickets = tickets
        self._auditor = auditor
        self._counters = counters
        self._guesses = Guesses()

    async def admit(self, scope: Scope) -> Bearer:
        """Who asks. Raises Unauthorized, Forbidden, RateLimited or StoreUnavailable."""
        headers = Headers(scope=scope)
        action = needed(scope.get("method", "GET"), scope["path"])
        if action is None or (scope["path"] == "/" and "text/html" in headers.get("accept", "")):
            return EVERYONE  # the page's files are anybody's, and so is the way there
        if self._keyring is None:
            return EVERYONE  # what needs more than that is not there at all
        bearer = await self._known(self._keyring, scope, headers)
        try:
            bearer.check(action)
            if action is Action.TICKET and bearer.by_ticket:
                raise Forbidden("a ticket buys no other ticket: show the token")
        except Forbidden as error:
            self._auditor.refused(bearer.name, scope["path"], error, _address(scope))
            raise
        return bearer

    async def _known(self, keyring: Keyring, scope: Scope, headers: Headers) -> Bearer:
        if not keyring.loaded:
            raise StoreUnavailable("the pool's server has not answered yet")
        shown = _shown(headers)
        if not shown:
            raise Unauthorized("a token is needed: send it as `Authorization: Bearer TOKEN`")
        address = _address(scope)
        try:
            return await self._bearer(keyring, shown, address)
        except (Unauthorized, RateLimited) as error:
            self._counters.wrong_tokens += 1
            self._auditor.note("unknown", scope["path"], error.code, address)
            if isinstance(error, Unauthorized):
                self._guesses.count(address)
            raise

    async def _bearer(self, keyring: Keyring, shown: str, address: str) -> Bearer:
        """Whose this is. Raises Unauthorized, later than it would answer, and RateLimited."""
        came_s = asyncio.get_running_loop().time()
        if shown.startswith(TICKET_PREFIX):
            await self._guesses.hold(address)
            record = keyring.get(await self._tickets.redeem(shown))
            if record is None:
                raise Unauthorized("this ticket is used, or its time is over")
            return Bearer(record, by_ticket=True)
        token = parse_token(shown)
        bearer = keyring.bearer(token)
        if bearer is None:
            await self._guesses.hold(address)
            await keyring.look_again(came_s)
            bearer = keyring.bearer(token)
        if bearer is None:
            raise Unauthorized("this token is not known here, or not any more")
        return bearer


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _shown(headers: Headers) -> str:
    """The token or ticket that came along; empty if none.

    Browsers cannot send a header with a WebSocket, but they can name subprotocols.
    """
    scheme, _, said = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return said.strip()
    offered = (each.strip() for each in headers.get("sec-websocket-protocol", "").split(","))
    return next((each for each in offered if each.startswith(TICKET_PREFIX)), "")
