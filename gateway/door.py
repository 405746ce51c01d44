"""Who may come in at all: the Host we answer for, pages that are ours, known bearers, nobody while we drain.

A browser lets any page on the web talk to a server on this machine; Origin and Host tell it apart
from the owner (cross-site WebSockets, DNS rebinding).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.answers import error_response
from gateway.bearers import SCOPE_KEY
from gateway.gatekeeper import Gatekeeper
from gateway.metrics import Counters
from rpn.errors import BadHost, BadOrigin, Draining, RPNError, Unauthorized

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Door:
    """Middleware in front of everything."""

    def __init__(
        self, app: ASGIApp, gatekeeper: Gatekeeper, *, allowed_hosts: str, counters: Counters
    ) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._allowed = frozenset(host.strip().lower() for host in allowed_hosts.split(",") if host.strip())
        self._counters = counters
        self.leaving = False
        """we are about to drain: balancers are told, nobody is refused yet"""
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            try:
                self._check(scope)
                scope[SCOPE_KEY] = await self._gatekeeper.admit(scope)
            except RPNError as error:
                self._counters.refused[error.code] += 1
                if scope["type"] == "websocket":
                    await receive()
                challenge = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
                await error_response(error, headers=challenge)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not answers_for(host, self._allowed):
            raise BadHost(f"this server does not answer for {host[:100]!r} (RPN_ALLOWED_HOSTS)")
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if changes and origin is not None and not same_host(origin, host):
            raise BadOrigin("requests from pages of other sites are not taken")
        if scope["type"] == "websocket" and self.draining:
            raise Draining("this gateway is going away: connect to another")


def same_host(origin: str, host: str) -> bool:
    """The page that `origin` names came from `host`, port included."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


@lru_cache(256)
def answers_for(host: str, allowed: frozenset[str]) -> bool:
    """An address, localhost, or a name the operator allowed; with any port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in allowed or "*" in allowed:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
