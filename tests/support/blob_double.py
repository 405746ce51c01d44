"""A gateway's `/api/blobs` with nothing behind it: it keeps what it gets, and fails when a test says so."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rpn.client.blobs import Gateway


class BlobDouble:
    """Speaks HTTP/1.0 to one client a connection."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.asked: list[str] = []
        """methods, in order"""
        self.refusals: list[tuple[int, str]] = []
        """status and code of the next answers"""
        self.port = 0

    @property
    def gateway(self) -> Gateway:
        return Gateway(f"ws://127.0.0.1:{self.port}/ws")

    def add(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return sha256

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        length = int(head.lower().partition("content-length:")[2].split("\r\n")[0] or 0)
        content = await reader.readexactly(length)
        self.asked.append(method)
        status, body = self._answer(method, path.rpartition("/")[2], content)
        writer.write(f"HTTP/1.0 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        writer.write(b"" if method == "HEAD" else body)
        writer.close()
        await writer.wait_closed()

    def _answer(self, method: str, sha256: str, content: bytes) -> tuple[int, bytes]:
        if self.refusals:
            status, code = self.refusals.pop(0)
            return status, f'{{"error":"no","code":"{code}"}}'.encode()
        if method == "PUT":
            self.blobs[sha256] = content
            return 201, b"{}"
        found = self.blobs.get(sha256)
        return (404, b"{}") if found is None else (200, found)


@asynccontextmanager
async def blob_double() -> AsyncIterator[BlobDouble]:
    double = BlobDouble()
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()
        await server.wait_closed()
