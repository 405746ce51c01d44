"""Signals to a process and all that is below it, in whatever session."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from agent import proc

assert sys.platform != "win32"  # noqa: S101 - for type checkers


def kill(top: int) -> None:
    """Kill a process, its group, and what is below it."""
    below = proc.descendants(top)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(top, signal.SIGKILL)
    for pid in (top, *below):
        _send(pid, signal.SIGKILL)


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
