"""Ties a process to the one that starts it: when the parent dies, however it dies, so does the process.

Run as a program it ties itself to its parent, takes the lock it is told to hold, and becomes the
command it was given. The lock stays with that command, and with what the command forks, until the
last of them is gone: a lock that can be taken means that nothing is left.

Imports only the standard library: it is run without site-packages, because that starts fastest.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
WATCH_EVERY_S = 0.5


def tethered(command: Sequence[str], *, lock: str = "") -> list[str]:
    """The command line that runs `command` as long as this process lives, holding an flock on `lock`.

    On Linux the tie is to the thread that starts it: start it from one that lives as long as the process.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), lock, *command]


def main(parent: int, lock: str, command: Sequence[str]) -> None:
    """Become `command`; return (or exit) only when that cannot be."""
    if not _die_with_parent():
        _watch(parent)
    if os.getppid() != parent:
        sys.exit("its parent ended before it began")
    if lock:
        _hold(lock)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - a list of arguments, no shell
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def _die_with_parent() -> bool:
    """Ask the kernel to kill this process, also after it became another, when its parent is gone."""
    if sys.platform != "linux":
        return False
    import ctypes

    failed: int = ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return not failed


def _watch(parent: int) -> None:
    """Leave a small process behind that does what the kernel here does not."""
    watched = os.getpid()
    if os.fork() == 0:
        os.setsid()
        while os.getppid() == watched:
            if not _alive(parent):
                os.kill(watched, signal.SIGKILL)
            time.sleep(WATCH_EVERY_S)
        os._exit(0)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _hold(path: str) -> None:
    import fcntl

    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        sys.exit(f"cannot lock {path}: {error.strerror}")
    os.set_inheritable(held, True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
