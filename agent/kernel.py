"""The few Linux calls that Python has no name for; elsewhere they do nothing and say so."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def adopts_orphans() -> bool:
    """Whether `adopt_orphans` holds for this process."""
    found = ctypes.c_int(0)
    return (
        _libc is not None
        and _libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0) == 0
        and bool(found.value)
    )


def forbid_new_privileges() -> bool:
    """No program started from here on gains rights by set-user-id; children inherit it."""
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(signal_number: int) -> bool:
    """Get this signal when the parent ends, however it ends."""
    return _prctl(_PR_SET_PDEATHSIG, signal_number)


def offer_to_the_oom_killer(score: int = 500) -> bool:
    """Have the kernel end this process before others when the machine's memory is gone."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return False
    try:
        return os.write(fd, b"%d" % score) > 0
    except OSError:
        return False
    finally:
        os.close(fd)


def _prctl(option: int, value: int) -> bool:
    return _libc is not None and _libc.prctl(option, value, 0, 0, 0) == 0


def own_mounts() -> None:
    """From here on mounts are this process's and its children's alone. Raises OSError."""
    _must(_libc is not None and _libc.unshare(_CLONE_NEWNS) == 0, "unshare")
    mount("none", "/", flags=_MS_REC | _MS_PRIVATE)


def cover(folder: str) -> None:
    """Put an empty folder, which everybody may search, over this one. Raises OSError."""
    mount("tmpfs", folder, kind="tmpfs", flags=_MS_NOSUID | _MS_NODEV, options="mode=755,size=1m")


def bind(source: str, target: str) -> None:
    """Show `source` at `target` too. Raises OSError."""
    mount(source, target, flags=_MS_BIND | _MS_REC)


def mount(source: str, target: str, *, kind: str = "none", flags: int = 0, options: str = "") -> None:
    arguments = (source.encode(), os.fsencode(target), kind.encode())
    _must(_libc is not None and _libc.mount(*arguments, flags, options.encode()) == 0, f"mount at {target}")


def _must(done: bool, what: str) -> None:
    if not done:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
