"""Says who uses a data directory, and keeps everyone else out."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from rpn.errors import ServerFailed

LOOK_EVERY_S = 0.02


class DataLock:
    """One owner for a data directory; the kernel lets go of it, however the owner ends."""

    def __init__(self, data_dir: Path, owner: str) -> None:
        self._dir = data_dir
        self._owner = owner
        self._file = -1

    def take(self, *, patience_s: float = 0.5) -> None:
        """Make the directory ours. Raises ServerFailed: it cannot be used, or whose it is.

        The patience is for an owner that was just killed and still goes through its last moments.
        """
        path = self._dir / "lock"
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            taken = _flock(self._file, patience_s)
        except OSError as error:
            raise unusable(self._dir, error) from None
        if not taken:
            self.release()
            raise ServerFailed(f"the data directory {self._dir} is in use by {_holder(path)}: {WHAT_TO_DO}")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()} {self._owner}\n".encode(), 0)

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


WHAT_TO_DO = "end that first, or choose another with --data-dir (RPN_DATA_DIR)"


def wait_free(path: Path, *, limit_s: float) -> bool:
    """Whether nobody holds the lock at `path`, or lets go of it within `limit_s`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return _flock(file, limit_s)
    finally:
        os.close(file)


def unusable(directory: Path, error: OSError) -> ServerFailed:
    """What to tell the operator when `directory` cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free space there" if full else "make it a directory that this user may write"
    return ServerFailed(
        f"cannot write in {directory}: {error.strerror or error}; {remedy}, "
        "or choose another with --data-dir (RPN_DATA_DIR)"
    )


def _flock(file: int, patience_s: float) -> bool:
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_EVERY_S)
        else:
            return True


def _holder(path: Path) -> str:
    pid, _, owner = path.read_text(encoding="utf-8").strip().partition(" ")
    return f"{owner or 'another process'} (pid {pid or 'unknown'})"
