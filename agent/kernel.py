"""The few Linux calls that Python has no name for; elsewhere they do nothing and say so."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> bool:
    """No program started from here on gains rights by set-user-id; children inherit it."""
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(signal_number: int) -> bool:
    """Get this signal when the parent ends, however it ends."""
    return _prctl(_PR_SET_PDEATHSIG, signal_number)


def offer_to_the_oom_killer(score: int = 500) -> bool:
    """Have the kernel end this process before others when the machine's memory is gone."""
    try:
        Path("/proc/self/oom_score_adj").write_text(str(score))
    except OSError:
        return False
    return True


def _prctl(option: int, value: int) -> bool:
    return _libc is not None and _libc.prctl(option, value, 0, 0, 0) == 0
