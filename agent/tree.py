"""Signals to a process and all that is below it, in whatever session."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from agent import proc

assert sys.platform != "win32"  # noqa: S101 - for type checkers


def kill(top: int) -> None:
    """Kill a process, its group, and what is below it.

    The group comes first: that is one step for the kernel, which nothing that forks can outrun.
    """
    kill_group(top)
    for pid in (*proc.descendants(top), top):
        _send(pid, signal.SIGKILL)


def kill_group(leader: int) -> None:
    """Kill all that is still in the group that this process began, also after its end."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def signal_all(top: int, number: signal.Signals) -> None:
    """Send `number` to a process and what is below it, also to what is started meanwhile."""
    told: set[int] = set()
    while fresh := {top, *proc.descendants(top)} - told:
        for pid in fresh:
            _send(pid, number)
        told |= fresh


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
