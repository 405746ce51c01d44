"""The promises of rpn.cli.address: how gateways are reached, from here and from elsewhere."""

from __future__ import annotations

import pytest

from rpn.cli.address import far, near, netloc


@pytest.mark.parametrize(
    ("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.7", "192.0.2.7")]
)
def test_from_here_everywhere_is_loopback(host: str, reached: str) -> None:
    assert near(host) == reached


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_nobody_else_reaches_loopback(host: str) -> None:
    assert far(host) is None


def test_others_reach_an_address_as_it_is_and_everywhere_by_our_own() -> None:
    assert far("192.0.2.7") == "192.0.2.7"
    assert far("0.0.0.0") not in (None, "0.0.0.0")


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert (netloc("::1", 7), netloc("h", 7)) == ("[::1]:7", "h:7")
