"""A task's files: in from blobs before it runs, and out as blobs when it has ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from agent.blob_cache import BlobCache
from agent.given import Blob
from rpn.client.blobs import Sent
from rpn.errors import RPNError

SHARED_MODE = 0o666
"""of files in a task's folder, which only the task's user can enter"""


class Undelivered(Exception):
    """What a task made is not there, or cannot be brought home."""


async def bring_in(files: Mapping[str, Blob], folder: str, blobs: BlobCache) -> None:
    """Put copies of blobs into a folder, under these names. Raises RPNError."""
    for name, blob in files.items():
        path = Path(folder) / name
        await blobs.copy(blob.sha256, path)
        path.chmod(SHARED_MODE)


async def content_of(given: bytes | Blob, blobs: BlobCache) -> bytes:
    """What was given, or what is in the blob that was named. Raises RPNError."""
    return await blobs.read(given.sha256) if isinstance(given, Blob) else given


async def take_out(names: Iterable[str], folder: str, blobs: BlobCache) -> dict[str, dict[str, object]]:
    """Send the files of these names home: `{name: {blob, size}}`. Raises Undelivered."""
    found: dict[str, dict[str, object]] = {}
    for name in names:
        with _opened(folder, name) as file:
            sent = await sent_home(file, blobs)
        found[name] = {"blob": sent.blob, "size": sent.size}
    return found


async def sent_home(content: BinaryIO | bytes, blobs: BlobCache) -> Sent:
    """Have the gateway keep what a task made. Raises Undelivered."""
    try:
        return await blobs.send(content)
    except RPNError as error:
        raise Undelivered(f"what the task made cannot be kept: {error} ({error.code})") from None


_NO_LINK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def _opened(folder: str, name: str) -> BinaryIO:
    """The file itself: a link could lead to one that is not the task's."""
    try:
        fd = os.open(os.path.join(folder, name), _NO_LINK)
    except OSError as error:
        raise Undelivered(f"the task left no file {name}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Undelivered(f"what the task left as {name} is no file")
    return os.fdopen(fd, "rb")


async def removed(folder: str) -> None:
    """Take a folder away with all that is in it."""
    try:
        os.rmdir(folder)
    except OSError:  # it holds something
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
