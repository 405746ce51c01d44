"""Blobs in the store: what is bigger than a message, under the SHA-256 of its content.

A blob is one hash of pieces that expires when nobody uses it. An upload is such a hash under a name
of its own until its content is known to be what it was announced as: a blob is whole or not there.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

from rpn.errors import BlobQuota, StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.scripts import Script

PIECE_KIB = 256
UPLOAD_PAUSE_S = 60.0
"""an upload of which nothing comes for so long is forgotten"""
_MIB = 2**20


class Blobs:
    """The blobs of one pool. Everything here raises StoreUnavailable."""

    def __init__(self, connection: Connection, keys: Keys, *, ttl_s: float, quota_mib: int) -> None:
        self._connection = connection
        self._keys = keys
        self._ttl_ms = int(ttl_s * 1000)
        self._quota_mib = quota_mib
        self._touch = Script(connection, "blob_touch")
        self._chunk = Script(connection, "blob_chunk")
        self._commit = Script(connection, "blob_commit")
        self._drop = Script(connection, "blob_drop")

    async def touch(self, sha256: str) -> int | None:
        """The size of a blob in bytes, which is kept for another while; None if there is none."""
        k = self._keys
        keys = [k.blob(sha256), k.blob_ends, k.blob_sizes]
        size = await self._touch.run(keys, [sha256, self._ttl_ms])
        return None if size < 0 else int(size)

    async def read(self, sha256: str, size: int) -> AsyncIterator[bytes]:
        """The content of a blob of `size` bytes, piece by piece."""
        for number in range(_pieces(size)):
            piece = await self._connection.command("HGET", self._keys.blob(sha256), number)
            if piece is None:
                raise StoreUnavailable(f"blob {sha256} is gone")
            yield piece

    def upload(self) -> Upload:
        """Room for a blob to come."""
        return Upload(self)

    async def add(self, upload: str, number: int, piece: bytes) -> None:
        """Take in one piece of an upload; raises BlobQuota when the pool holds too much."""
        k = self._keys
        keys = [k.blob(upload), k.blob_ends, k.blob_sizes]
        args = [upload, number, piece, int(UPLOAD_PAUSE_S * 1000), self._quota_mib * _MIB]
        if not await self._chunk.run_until_known(keys, args):
            raise BlobQuota(f"the pool holds as many blobs as it may (RPN_BLOB_QUOTA_MIB={self._quota_mib})")

    async def commit(self, upload: str, sha256: str, *, size: int) -> bool:
        """Make an upload a blob; False when it was there before."""
        k = self._keys
        keys = [k.blob(upload), k.blob(sha256), k.blob_ends, k.blob_sizes]
        args = [upload, sha256, size, _pieces(size), self._ttl_ms]
        done = await self._commit.run_until_known(keys, args, lasting=True)
        if done < 0:
            raise StoreUnavailable("the upload paused for too long: send it again")
        return bool(done)

    async def drop(self, upload: str) -> None:
        """Forget an upload."""
        k = self._keys
        await self._drop.run([k.blob(upload), k.blob_ends, k.blob_sizes], [upload])


class Upload:
    """Pieces on their way to be a blob: `write` them in order, then `commit` or `drop`."""

    def __init__(self, blobs: Blobs) -> None:
        self.size = 0
        self._blobs = blobs
        self._name = f"upload:{secrets.token_hex(8)}"
        self._pieces = 0

    async def write(self, piece: bytes) -> None:
        """The next piece: exactly `PIECE_KIB`, but for the last one."""
        await self._blobs.add(self._name, self._pieces, piece)
        self._pieces += 1
        self.size += len(piece)

    async def commit(self, sha256: str) -> bool:
        """It is whole, and this is the digest of its content; False when that was there before."""
        return await self._blobs.commit(self._name, sha256, size=self.size)

    async def drop(self) -> None:
        """It will not be completed."""
        if self._pieces:
            await self._blobs.drop(self._name)


def _pieces(size: int) -> int:
    return max(1, -(-size // (PIECE_KIB * 1024)))
