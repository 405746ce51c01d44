"""What a task's process gives up before it becomes the task: files, sockets, rights, more than its limits."""

from __future__ import annotations

import glob
import os
import signal
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from agent import bubblewrap, kernel, landlock, seccomp

SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store",
    "/gnu/store", "/proc", "/sys", "/dev/urandom", "/dev/random", "/system", "/apex",
    "/data/data/com.termux/files/usr",
)  # fmt: skip
"""Where programs and what they need stand; tasks may read it, as far as their user may."""
NETWORK = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
GPU_DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd")


def level() -> str:
    """`full`: tasks are kept from all files but their own and the system's; else `basic`."""
    if landlock.version() and seccomp.available():
        return "full"
    return "full" if bubblewrap.found() else "basic"


def interpreter() -> list[str]:
    """The folders of this interpreter and its packages: what our own programs read."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(os.path.isabs, sys.path)}
    return sorted({*found, *map(os.path.realpath, found)})


def get_ready() -> None:
    """Do once what every child would do anew before it becomes its task: open, import, work out."""
    if sys.platform != "win32":
        from agent import rlimits  # noqa: F401
    _system()
    _needs_bubblewrap()
    if seccomp.available():
        seccomp.own_filter()


@cache
def _system() -> landlock.Places:
    return landlock.Places(SYSTEM if landlock.version() else ())


def prepared(*, network: bool = False) -> landlock.Ruleset | None:
    """What all tasks may read and write, for `confine`; None where there is no Landlock. Raises OSError."""
    if not landlock.version():
        return None
    ruleset = landlock.Ruleset(_system(), network=network)
    ruleset.add(writes=DEVICES)
    return ruleset


def confine(order: Mapping[str, Any], user: int | None, ruleset: landlock.Ruleset | None) -> None:
    """Give up all that `order` does not grant; as `user`, if one is set aside. Raises OSError."""
    if sys.platform == "win32":
        raise OSError("tasks are not confined on Windows")
    network = bool(order.get("network"))
    from agent import rlimits  # not there on Windows

    if order["cores"] and sys.platform == "linux":
        os.sched_setaffinity(0, order["cores"])
    rlimits.hold_to(order["limits"], alone=user is not None)
    if ruleset is not None and ruleset.network != network:
        ruleset = prepared(network=network)
    if ruleset is not None:
        ruleset.add(reads=_reads(order, network), writes=_writes(order))
        ruleset.restrict()
    if user is not None and sys.platform == "linux":
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        kernel.die_with_parent(signal.SIGKILL)  # a change of user has ended that
    kernel.forbid_new_privileges()
    if not network and not _needs_bubblewrap() and seccomp.available():
        seccomp.forbid_sockets()
    # Last, for the pool waits for all that comes before it. Lowering it back is not allowed to a task's user.
    os.setpriority(os.PRIO_PROCESS, 0, order["limits"].get("nice", 0))


def command(order: Mapping[str, Any]) -> list[str]:
    """What to run for an order with an argv: that, within Bubblewrap where Landlock is not there."""
    argv: list[str] = order["argv"]
    if not _needs_bubblewrap():
        return argv
    network = bool(order.get("network"))
    return bubblewrap.wrapped(
        argv,
        bwrap=bubblewrap.found(),
        folder=order["folder"],
        reads=[*SYSTEM, *_reads(order, network)],
        writes=[*DEVICES, *_writes(order)],
        network=network,
    )


def _needs_bubblewrap() -> bool:
    return not (landlock.version() and seccomp.available()) and bool(bubblewrap.found())


def _reads(order: Mapping[str, Any], network: bool) -> list[str]:
    reads = list(order.get("reads", ()))
    return reads + list(NETWORK) if network else reads


def _writes(order: Mapping[str, Any]) -> list[str]:
    writes = [order["folder"], *order.get("writes", ())]
    if order.get("gpu"):
        writes += [path for pattern in GPU_DEVICES for path in glob.glob(pattern)]
    return writes
