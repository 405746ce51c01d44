"""What a task's process gives up before it becomes the task: files, sockets, rights, more than its limits."""

from __future__ import annotations

import glob
import os
import signal
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from agent import kernel, landlock, seccomp

if sys.platform != "win32":
    import resource

SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store",
    "/gnu/store", "/proc", "/sys", "/dev/urandom", "/dev/random", "/system", "/apex",
    "/data/data/com.termux/files/usr",
)  # fmt: skip
"""Where programs and what they need stand; tasks may read it, as far as their user may."""
NETWORK = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
GPU_DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd")
OPEN_FILES_LIMIT = 1024
MB = 2**20


def level() -> str:
    """`full`: tasks are kept from all files but their own and the system's; else `basic`."""
    return "full" if landlock.version() and seccomp.available() else "basic"


def interpreter() -> list[str]:
    """The folders of this interpreter and its packages: what our own programs read."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(os.path.isabs, sys.path)}
    return sorted({*found, *map(os.path.realpath, found)})


@cache
def system() -> landlock.Places:
    """What all tasks may read, opened; asked for once before there are tasks."""
    return landlock.Places(SYSTEM if landlock.version() else ())


def confine(order: Mapping[str, Any], user: int | None) -> None:
    """Give up all that `order` does not grant; as `user`, if one is set aside. Raises OSError."""
    network = bool(order.get("network"))
    _hold_to(order["limits"], alone=user is not None)
    if landlock.version():
        reads, writes = _reads(order, network), _writes(order)
        landlock.restrict(known=system(), reads=reads, writes=writes, network=network)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        kernel.die_with_parent(signal.SIGKILL)  # a change of user has ended that
    kernel.forbid_new_privileges()
    if not network and seccomp.available():
        seccomp.forbid_sockets()


def _reads(order: Mapping[str, Any], network: bool) -> list[str]:
    reads = list(order.get("reads", ()))
    if "builtin" in order:
        reads += interpreter()
    return reads + list(NETWORK) if network else reads


def _writes(order: Mapping[str, Any]) -> list[str]:
    writes = [order["folder"], *DEVICES, *order.get("writes", ())]
    if order.get("gpu"):
        writes += [path for pattern in GPU_DEVICES for path in glob.glob(pattern)]
    return writes


def _hold_to(limits: Mapping[str, Any], *, alone: bool) -> None:
    if sys.platform == "win32":
        return
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, limits.get("open_files", OPEN_FILES_LIMIT))
    if "storage_mb" in limits:
        _lower(resource.RLIMIT_FSIZE, int(limits["storage_mb"] * MB))
    if "processes" in limits:
        # The guard counts too, and says so clearly; this holds when it is too late for that.
        room = 2 * limits["processes"]
        _lower(resource.RLIMIT_NPROC, room if alone else room + limits["others"])
    if "cores" in limits and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, limits["cores"])


def _lower(what: int, limit: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(what, (limit, limit))
