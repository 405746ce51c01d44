"""Addresses of gateways as people write them."""

from __future__ import annotations

import pytest

from rpn.client.servers import parse_servers
from rpn.errors import BadSettings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ws://a:3001/ws", "ws://a:3001/ws"),
        ("http://a:3001", "ws://a:3001/ws"),
        ("http://a:3001/", "ws://a:3001/ws"),
        ("a:3001", "ws://a:3001/ws"),
        ("a", "ws://a:3000/ws"),
        ("10.0.0.7", "ws://10.0.0.7:3000/ws"),
        ("[::1]:3001", "ws://[::1]:3001/ws"),
        ("https://pool.example", "wss://pool.example/ws"),
        ("wss://pool.example:8443/rpn/ws", "wss://pool.example:8443/rpn/ws"),
    ],
)
def test_every_form_names_a_websocket(written: str, meant: str) -> None:
    assert parse_servers(written) == [meant]


def test_a_list_keeps_its_order_and_no_doubles() -> None:
    assert parse_servers("b:1, a:1,,http://b:1") == ["ws://b:1/ws", "ws://a:1/ws"]


@pytest.mark.parametrize(
    "written", ["", " , ", "ftp://a", "a:port", "a:99999", "ws://", "u:p@a:1", "a:1?x=1"]
)
def test_what_names_no_gateway_is_refused_by_name(written: str) -> None:
    with pytest.raises(BadSettings, match="RPN_SERVER"):
        parse_servers(written)
