"""How the gateways of this machine are reached, from itself and from others."""

from __future__ import annotations

import socket

from rpn.exposure import is_loopback

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


def near(host: str) -> str:
    """Where to reach, from this machine, what listens on `host`."""
    return EVERYWHERE.get(host, host)


def far(host: str) -> str | None:
    """Where another machine reaches what listens on `host`; None if none can."""
    if is_loopback(host):
        return None
    return _own_address() if host in EVERYWHERE else host


def netloc(host: str, port: int) -> str:
    """`host` and `port` as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _own_address() -> str:
    """The address by which this machine goes to the network; asking sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address set aside for documentation
            own: str = probe.getsockname()[0]
        except OSError:
            return "ADDRESS-OF-THIS-MACHINE"
        return own
