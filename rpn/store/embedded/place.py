"""Where an embedded server's files lie."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from rpn.errors import ServerFailed
from rpn.store.embedded.lock import unusable

SOCKET_PATH_LIMIT_BYTES = 100  # the kernel takes 107, Apple's 103
OWN_LOG_LIMIT_BYTES = 4 << 20
PROBE_BYTES = 64 << 10


class Place:
    """The files of the server whose data belong under `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self.dir = data_dir.absolute() / "valkey"
        self.lock = self.dir / "lock"
        self.log = self.dir / "valkey.log"
        self.pid = self.dir / "valkey.pid"
        self.socket = _socket_path(self.dir)

    def make_ready(self) -> None:
        """Make directories, clear away what a killed server left. Raises ServerFailed."""
        try:
            self.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            _probe(self.dir / "probe")
            if self.log.exists() and self.log.stat().st_size > OWN_LOG_LIMIT_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
            if self.socket.parent != self.dir:
                _make_private(self.socket.parent)
            self.socket.unlink(missing_ok=True)
        except OSError as error:
            raise unusable(self.dir, error) from None


def _probe(path: Path) -> None:
    """Learn now, not at the first write of the server, that the disk is full or not ours."""
    try:
        with path.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)


def _socket_path(directory: Path) -> Path:
    """In the data directory if the kernel takes a path that long, else a short one, always the same."""
    path = directory / "valkey.sock"
    mark = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES:
            break
        if base:
            path = Path(base) / f"rpn-{os.getuid()}-{mark}" / "valkey.sock"
    return path


def _make_private(directory: Path) -> None:
    """In a place where others write too, whoever made it first must have been us."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ServerFailed(f"{directory} is not a private directory of ours: remove it")
