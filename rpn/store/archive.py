"""The file of a backup: a line that says what it is, msgpack, and a checksum over both.

It holds values, not a server's own dump of them, so that what one server wrote another can read,
also an older one or one of another make.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgpack

from rpn.errors import BackupFailed

MAGIC = b"rpn backup 1\n"
PIPE = Path("-")
"""standard output, or input"""
DIGEST_SIZE = hashlib.sha256().digest_size


class Kept(NamedTuple):
    """One key, as it was."""

    name: str
    """behind the prefix of its pool"""
    kind: str
    """string, hash, zset or stream"""
    ttl_ms: int
    """-1: for ever"""
    value: Any


class Archive(NamedTuple):
    """A pool, as it was at one moment."""

    format: str
    """of the data"""
    version: str
    """of the program that took it"""
    pool: str
    taken_ms: int
    keys: list[Kept]


def pack_archive(archive: Archive) -> bytes:
    body: bytes = MAGIC + msgpack.packb(archive)
    return body + hashlib.sha256(body).digest()


def unpack_archive(data: bytes) -> Archive:
    """Raises BackupFailed: it is not whole, or no backup at all."""
    if not data.startswith(MAGIC[:11]):
        raise BackupFailed("this file is no backup of a pool")
    body, digest = data[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
    if hashlib.sha256(body).digest() != digest:
        raise BackupFailed("the backup is damaged: its checksum does not fit")
    if not data.startswith(MAGIC):
        raise BackupFailed("the backup was taken by a newer version: restore it with that")
    form, version, pool, taken_ms, keys = msgpack.unpackb(body[len(MAGIC) :], raw=False, strict_map_key=False)
    return Archive(form, version, pool, taken_ms, [Kept(*key) for key in keys])


def write(path: Path, archive: Archive) -> int:
    """Write the file whole or not at all, for its owner alone; answers its size. Raises BackupFailed."""
    data = pack_archive(archive)
    if path == PIPE:
        sys.stdout.buffer.write(data)
        return len(data)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BackupFailed(f"cannot write {path}: {error.strerror}") from None
    return len(data)


def read(path: Path) -> Archive:
    """Raises BackupFailed: it cannot be read, or is not whole."""
    try:
        return unpack_archive(sys.stdin.buffer.read() if path == PIPE else path.read_bytes())
    except OSError as error:
        raise BackupFailed(f"cannot read {path}: {error.strerror}") from None
