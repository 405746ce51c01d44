"""Looks at processes that a test did not start itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from tests.support.patience import PATIENCE_S


def gone(pid: int) -> bool:
    """Whether it ended: a zombie waits only for its parent to look."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def until(true: Callable[[], bool]) -> None:
    """Ask until it is true; fails when that takes too long."""
    limit_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < limit_s
        time.sleep(0.005)
