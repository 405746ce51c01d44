"""The kernel's own limits on a process and what it starts, where it is not Windows."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import Any

assert sys.platform != "win32"  # noqa: S101 - for type checkers

OPEN_FILES_LIMIT = 1024
BEYOND = 32
"""How many processes more than allowed the kernel lets be, so that the guard sees that there are too many."""
MB = 2**20


def hold_to(limits: Mapping[str, Any], *, alone: bool) -> None:
    """Lower this process's limits; `alone`: its user runs nothing else."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, limits.get("open_files", OPEN_FILES_LIMIT))
    if "storage_mb" in limits:
        _lower(resource.RLIMIT_FSIZE, int(limits["storage_mb"] * MB))
    if "processes" in limits:
        # The guard counts too, and says so clearly; this holds when it is too late for that.
        room = limits["processes"] + BEYOND
        _lower(resource.RLIMIT_NPROC, room if alone else room + limits["others"])


def _lower(what: int, limit: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(what, (limit, limit))
