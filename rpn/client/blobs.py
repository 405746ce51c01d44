"""Blobs over HTTP where an event loop runs: a file goes to a gateway or comes from it, a piece at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

import msgspec

from rpn import __version__
from rpn.client.refusals import exception_of
from rpn.client.trust import client_tls
from rpn.errors import BlobMismatch, NotFound, RPNError, StoreUnavailable
from rpn.messages import Error

PIECE = 64 * 1024
"""bytes that are read or written at once"""
STALL_LIMIT_S = 20.0
"""how long nothing may move"""
OPEN_LIMIT_S = 5.0
HEAD_LIMIT = 64 * 1024
"""bytes of an answer's head"""


class Sent(NamedTuple):
    """A blob that a gateway has."""

    blob: str
    size: int


class Gateway(NamedTuple):
    """Whom to ask: the address of its WebSocket, and the token it wants, if any."""

    server: str
    token: str = ""


async def fetch(gateway: Gateway, sha256: str, into: BinaryIO) -> int:
    """Write a blob's content into a file; its size. Raises RPNError, NotFound among them.

    What was written means nothing unless this returns.
    """
    digest, size = hashlib.sha256(), 0
    async with _asked(gateway, "GET", sha256, 0) as call:
        left = await call.answered()
        while left:
            piece = await call.read(min(left, PIECE))
            digest.update(piece)
            into.write(piece)
            size += len(piece)
            left -= len(piece)
    if digest.hexdigest() != sha256:
        raise BlobMismatch(f"the gateway gave another content for blob {sha256}")
    return size


async def send(gateway: Gateway, content: BinaryIO) -> Sent:
    """Have a gateway keep a file's content, unless it has it already. Raises RPNError."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(content):
        digest.update(piece)
        size += len(piece)
    sent = Sent(digest.hexdigest(), size)
    if not await _is_there(gateway, sent.blob):
        content.seek(0)
        async with _asked(gateway, "PUT", sent.blob, size) as call:
            with suppress(ConnectionError):  # it was refused meanwhile, and the answer says why
                for piece in _pieces(content):
                    await call.write(piece)
            await call.answered()
    return sent


async def _is_there(gateway: Gateway, sha256: str) -> bool:
    async with _asked(gateway, "HEAD", sha256, 0) as call:
        try:
            await call.answered()
        except NotFound:
            return False
        return True


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(PIECE):
        yield piece


class _Call:
    """One request and its answer, on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def write(self, piece: bytes) -> None:
        self._writer.write(piece)
        async with asyncio.timeout(STALL_LIMIT_S):
            await self._writer.drain()

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(STALL_LIMIT_S):
            return await self._reader.readexactly(size)

    async def answered(self) -> int:
        """The length of the body of a good answer; what a bad one tells is raised."""
        async with asyncio.timeout(STALL_LIMIT_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
        status, headers = _parsed(head)
        length = int(headers.get(b"content-length", b"0"))
        if status == 404:
            raise NotFound("there is no such blob")
        if status >= 300:
            raise _refusal(status, await self.read(min(length, HEAD_LIMIT)))
        return length


@asynccontextmanager
async def _asked(gateway: Gateway, method: str, sha256: str, length: int) -> AsyncIterator[_Call]:
    """A request whose head is sent. Everything that breaks it is StoreUnavailable."""
    parts = urlsplit(gateway.server)
    secure = client_tls() if parts.scheme == "wss" else None
    port = parts.port or (443 if secure else 80)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(OPEN_LIMIT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=HEAD_LIMIT)
        call = _Call(reader, writer)
        path = f"{parts.path.removesuffix('/ws')}/api/blobs/{sha256}"
        await call.write(_head(gateway, parts.netloc, f"{method} {path}", length))
        yield call
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, ValueError) as error:
        raise StoreUnavailable(f"{parts.netloc}: {error or type(error).__name__}") from None
    finally:
        if writer is not None:
            writer.close()


def _head(gateway: Gateway, host: str, target: str, length: int) -> bytes:
    """HTTP/1.0, so that nobody cuts the answer into chunks."""
    lines = [f"{target} HTTP/1.0", f"Host: {host}", f"User-Agent: rpn/{__version__}"]
    if gateway.token:
        lines.append(f"Authorization: Bearer {gateway.token}")
    if target.startswith("PUT"):
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _parsed(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head.strip().split(b"\r\n")
    named = (line.partition(b":") for line in lines)
    return int(first.split()[1]), {name.strip().lower(): value.strip() for name, _, value in named}


class _Told(msgspec.Struct):
    error: str
    code: str


def _refusal(status: int, body: bytes) -> RPNError:
    try:
        told = msgspec.json.decode(body, type=_Told)
    except msgspec.DecodeError:
        return StoreUnavailable(f"the gateway answered with status {status}")
    return exception_of(Error(error=told.error, code=told.code))
