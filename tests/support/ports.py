"""Ports for servers that must be told theirs: nobody listens there, and no client is given one meanwhile."""

from __future__ import annotations

import contextlib
import os
import socket
from secrets import randbelow

FIRST, COUNT, WORKERS = 12_000, 2_500, 8
"""Each worker of pytest-xdist has its own part of what is below the ports that systems give to clients."""


def free_ports(count: int) -> range:
    """So many in a row."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    for _ in range(100):
        first = FIRST + worker * COUNT + randbelow(COUNT - count)
        ports = range(first, first + count)
        if all(map(_is_free, ports)):
            return ports
    raise RuntimeError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as listener, contextlib.suppress(OSError):
        listener.bind(("127.0.0.1", port))
        return True
    return False
