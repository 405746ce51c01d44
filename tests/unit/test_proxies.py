"""The client's address behind proxies: believed as far as trusted proxies wrote it, and no further."""

from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from gateway.proxies import BehindProxies, client_address, networks_of
from rpn.errors import BadSettings

BALANCER, CADDY = "10.83.0.10", "10.83.0.20"
TRUSTED = networks_of("10.83.0.0/24, 2001:db8::/32")


@pytest.mark.parametrize("peer", ["203.0.113.7", "192.168.1.5", "2001:db9::1", "unix", ""])
def test_who_is_not_trusted_speaks_for_itself_alone(peer: str) -> None:
    assert client_address(peer, "198.51.100.1", TRUSTED) == peer


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2a00:1450::7", "2a00:1450::7"),
        (f"203.0.113.7, {CADDY}", "203.0.113.7"),
        (f" 203.0.113.7 ,{CADDY} ", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_a_trusted_proxy_tells_who_called_it(forwarded_for: str, address: str) -> None:
    assert client_address(BALANCER, forwarded_for, TRUSTED) == address


def test_what_a_client_wrote_itself_is_not_believed() -> None:
    assert client_address(BALANCER, "198.51.100.1, 203.0.113.7", TRUSTED) == "203.0.113.7"
    assert client_address(BALANCER, "10.83.0.99, 203.0.113.7", TRUSTED) == "203.0.113.7"


@pytest.mark.parametrize("forwarded_for", ["", "unknown", "203.0.113.7, for=[::1]", "a" * 9000])
def test_what_cannot_be_read_ends_at_the_proxy_that_passed_it_on(forwarded_for: str) -> None:
    assert client_address(BALANCER, forwarded_for, TRUSTED) == BALANCER


def test_a_request_from_within_is_the_first_address_on_its_way() -> None:
    assert client_address(BALANCER, f"10.83.0.5, {CADDY}", TRUSTED) == "10.83.0.5"


def test_a_very_long_header_is_read_from_its_end_only() -> None:
    assert client_address(BALANCER, "203.0.113.7," + f"{CADDY}," * 9999 + CADDY, TRUSTED) == CADDY


def test_a_proxy_seen_over_an_ipv6_socket_is_still_trusted() -> None:
    assert client_address(f"::ffff:{BALANCER}", "203.0.113.7", TRUSTED) == "203.0.113.7"


@pytest.mark.parametrize("text", ["10.0.0.0/33", "balancer", "10.83.0.1/24", "*"])
def test_a_network_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadSettings, match="RPN_TRUSTED_PROXIES"):
        networks_of(f"127.0.0.1, {text}")


def test_without_a_word_nobody_is_trusted() -> None:
    assert networks_of("") == networks_of(" , ") == ()


async def seen_behind(scope: Scope, *, trusted: str) -> Scope:
    """The scope as the application behind the middleware sees it."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> dict[str, str]:
        return {}

    async def send(message: object) -> None:
        return None

    await BehindProxies(app, networks_of(trusted))(scope, receive, send)
    return seen[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_everything_behind_it_sees_the_clients_address(kind: str) -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"203.0.113.7")]
    scope = {"type": kind, "client": (BALANCER, 4711), "headers": headers}
    assert (await seen_behind(dict(scope), trusted=BALANCER))["client"] == ("203.0.113.7", 4711)
    assert (await seen_behind(dict(scope), trusted=""))["client"] == (BALANCER, 4711)


async def test_who_has_hung_up_already_has_no_address() -> None:
    scope: Scope = {"type": "websocket", "client": None, "headers": []}
    assert (await seen_behind(scope, trusted=""))["client"] == ("", 0)
