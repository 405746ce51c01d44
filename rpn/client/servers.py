"""The gateways a client may connect to, as people write them in `RPN_SERVER`."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, urlsplit

from rpn.environ import told
from rpn.errors import BadSettings

DEFAULT_PORT = 3000
DEFAULT_SERVER = f"127.0.0.1:{DEFAULT_PORT}"
_SCHEMES = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}


def told_server() -> str:
    """The gateways that the environment names, else the one of this machine."""
    return os.environ.get("RPN_SERVER") or DEFAULT_SERVER


def told_token() -> str:
    """The token that the environment holds, or the file it names. Raises BadSettings."""
    return told("RPN_TOKEN", os.environ) or ""


def parse_servers(text: str) -> list[str]:
    """The WebSocket addresses in a comma-separated list; raises BadSettings.

    `ws://host:port/ws`, `http://host:port` and `host:port` all mean the same gateway; without a
    port it is 3000, or the scheme's own for https and wss.
    """
    servers = [_address(part.strip()) for part in text.split(",") if part.strip()]
    if not servers:
        raise BadSettings("RPN_SERVER: names no server; expected for example 127.0.0.1:3000")
    return list(dict.fromkeys(servers))


def _address(text: str) -> str:
    parts = urlsplit(text if "://" in text else f"ws://{text}")
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise _unusable(text)
    path = parts.path.rstrip("/") or "/ws"
    return f"{scheme}://{_host(parts)}{_port(parts, scheme, text)}{path}"


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _port(parts: SplitResult, scheme: str, text: str) -> str:
    try:
        port = parts.port
    except ValueError:
        raise _unusable(text) from None
    if port is None:
        return "" if scheme == "wss" else f":{DEFAULT_PORT}"
    return f":{port}"


def _unusable(text: str) -> BadSettings:
    return BadSettings(
        f"RPN_SERVER: {text!r} is no address of a gateway; expected for example 127.0.0.1:3000"
    )
