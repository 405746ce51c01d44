"""Whose request it is when load balancers stand between: the client's address, as far as it can be believed.

Anybody can write an X-Forwarded-For. Each proxy on the way appends the address it was called from, so
the header is read from its right end and believed only as far as trusted proxies have written it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rpn.errors import BadSettings

Network = IPv4Network | IPv6Network
HOPS_READ = 32
"""entries of the header that are looked at: no honest way is longer"""


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated list of CIDRs. Raises BadSettings."""
    words = [word.strip() for word in text.split(",")]
    try:
        return tuple(ip_network(word) for word in words if word)
    except ValueError as error:
        raise BadSettings(f"RPN_TRUSTED_PROXIES: {error}") from None


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The address a request came from: the last one before the proxies in `trusted`.

    `peer` is who opened the connection; what it forwards counts only if it is trusted itself.
    """
    nearest = _parsed(peer)
    if nearest is None or not _within(nearest, trusted):
        return peer
    for hop in reversed(forwarded_for.split(",")[-HOPS_READ:]):
        address = _parsed(hop.strip())
        if address is None:
            break
        nearest = address
        if not _within(address, trusted):
            break
    return str(nearest)


@lru_cache(1024)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address; an IPv4 one that came over an IPv6 socket is itself."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _within(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


class BehindProxies:
    """Middleware that puts the client's address where the server wrote its peer's."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "client" in scope:
            peer, port = scope["client"] or ("", 0)  # who hung up already has no address any more
            forwarded_for = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
            scope["client"] = (client_address(peer, forwarded_for, self._trusted), port)
        await self._app(scope, receive, send)
