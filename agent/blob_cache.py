"""Blobs as the agent has them: fetched once from the gateway it is connected to, then on its disk."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from rpn.client import blobs
from rpn.client.blobs import Gateway, Sent
from rpn.errors import RPNError, StoreUnavailable, Unavailable

log = logging.getLogger(__name__)

CACHE_LIMIT_MIB = 1024
"""what is kept at most; what was not used for longest goes first"""
SPARED_S = 60.0
"""what was used so recently is never taken away"""
TRY_LIMIT_S = 60.0
"""how long we try while there is no gateway, or it cannot now"""
PAUSE_S = 0.5
AGAIN = "RATE_LIMITED"
_MIB = 2**20

T = TypeVar("T")


class BlobCache:
    """A folder of blobs by their SHA-256; `gateway` tells whom to ask, its server empty if nobody."""

    def __init__(self, folder: Path, gateway: Callable[[], Gateway]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._gateway = gateway
        self._fetching: dict[str, asyncio.Future[None]] = {}
        for left in folder.glob("*.part"):
            left.unlink(missing_ok=True)

    async def read(self, sha256: str) -> bytes:
        """The content of a blob. Raises RPNError, NotFound among them."""
        return await self._use(sha256, Path.read_bytes)

    async def copy(self, sha256: str, path: Path) -> None:
        """Write a blob's content to `path`. Raises RPNError, NotFound among them."""
        await self._use(sha256, lambda blob: shutil.copyfile(blob, path))

    async def send(self, content: BinaryIO | bytes) -> Sent:
        """Have the gateway keep this. Raises RPNError."""
        file = io.BytesIO(content) if isinstance(content, bytes) else content

        async def once(gateway: Gateway) -> Sent:
            file.seek(0)
            return await blobs.send(gateway, file)

        return await self._until_done(once)

    def derived(self, sha256: str, kind: str) -> Path:
        """Where something that was made of a blob is kept beside it."""
        return self._folder / f"{sha256}.{kind}"

    async def keep(self, path: Path, content: bytes) -> None:
        """Write a `derived` file, whole or not at all; the cache does without it if it cannot."""
        with suppress(OSError):
            await asyncio.to_thread(self._put, path, content)
            await asyncio.to_thread(self._make_room)

    def _put(self, path: Path, content: bytes) -> None:
        """Two workers may have compiled the same module at once: each writes a file of its own."""
        fd, part = tempfile.mkstemp(dir=self._folder, suffix=".part")
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        os.replace(part, path)

    async def forget(self, path: Path) -> None:
        """Take away a `derived` file that is of no use."""
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _use(self, sha256: str, use: Callable[[Path], T]) -> T:
        while True:
            path = await self._here(sha256)
            try:
                return await asyncio.to_thread(use, path)
            except FileNotFoundError:
                if path.exists():
                    raise  # it was another file that is not there

    async def _here(self, sha256: str) -> Path:
        """Where the blob is, once it is there."""
        path = self._folder / sha256
        while not path.exists():
            if sha256 in self._fetching:  # for somebody else, who may give up
                await asyncio.wait((self._fetching[sha256],))
                continue
            self._fetching[sha256] = asyncio.get_running_loop().create_future()
            try:
                await self._until_done(lambda gateway: self._fetch(gateway, sha256, path))
            finally:
                self._fetching.pop(sha256).set_result(None)
        with suppress(FileNotFoundError):  # it has just made room for others: who uses it comes back
            os.utime(path)
        return path

    async def _fetch(self, gateway: Gateway, sha256: str, path: Path) -> None:
        fd, part = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(fd, "wb") as file:
                await blobs.fetch(gateway, sha256, file)
            os.replace(part, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part)
        await asyncio.to_thread(self._make_room)

    async def _until_done(self, once: Callable[[Gateway], Awaitable[T]]) -> T:
        """Try as long as it may still succeed, with whatever gateway we have then."""
        deadline_s = time.monotonic() + TRY_LIMIT_S
        while True:
            try:
                gateway = self._gateway()
                if not gateway.server:
                    raise StoreUnavailable("there is no gateway to ask for blobs")
                return await once(gateway)
            except RPNError as error:
                passing = isinstance(error, Unavailable) or error.code == AGAIN
                if not passing or time.monotonic() > deadline_s:
                    raise
                log.info("a blob has to wait: %s", error)
            await asyncio.sleep(PAUSE_S)

    def _make_room(self) -> None:
        """Take away what was not used for longest until the rest is little enough."""
        files = list(_described(self._folder))
        left = sum(about.st_size for about, _ in files) - CACHE_LIMIT_MIB * _MIB
        for about, path in sorted(files, key=lambda each: each[0].st_mtime):
            if left <= 0 or time.time() - about.st_mtime < SPARED_S:
                return
            path.unlink(missing_ok=True)
            left -= about.st_size


def _described(folder: Path) -> Iterator[tuple[os.stat_result, Path]]:
    """The files of a folder in which others are at work."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            yield path.stat(), path
