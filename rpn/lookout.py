"""A small HTTP server for operators: `/metrics`, `/livez`, `/readyz`, nothing else and for nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from rpn.errors import BadSettings

log = logging.getLogger(__name__)

HEAD_LIMIT = 16 * 1024
"""bytes of a request"""
TIME_LIMIT_S = 5.0
"""for a request and its answer"""
CONNECTIONS_LIMIT = 32

_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Answer(NamedTuple):
    """What is sent back."""

    status: int
    body: bytes
    content_type: str = "application/json"


Page = Callable[[], Awaitable[Answer]]

NOT_FOUND = Answer(404, b'{"error":"there is nothing here","code":"NOT_FOUND"}')
NOT_ALLOWED = Answer(405, b'{"error":"only GET","code":"METHOD_NOT_ALLOWED"}')


class Lookout:
    """Answers GET, one request a connection."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._open = 0
        self.port = 0
        """where it listens, once it does"""
        self.listening = asyncio.Event()

    async def serve(self, host: str, port: int, *, setting: str) -> None:
        """Answer until cancelled. Raises BadSettings, naming the port's `setting`: it is taken, say."""
        try:
            server = await asyncio.start_server(self._connected, host, port, limit=HEAD_LIMIT)
        except OSError as error:
            raise BadSettings(f"{setting}: cannot listen on {host}:{port}: {error.strerror}") from None
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            log.info("metrics on %s:%d", host, self.port)
            self.listening.set()
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= CONNECTIONS_LIMIT:
                async with asyncio.timeout(TIME_LIMIT_S):
                    await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a request to the metrics' port broke off: %r", error)
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        page = self._pages.get(path)
        if page is None:
            answer = NOT_FOUND
        elif method not in ("GET", "HEAD"):
            answer = NOT_ALLOWED
        else:
            answer = await page()
        lines = (
            f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
        )
        writer.write("\r\n".join((*lines, "", "")).encode("latin-1"))
        if method != "HEAD":
            writer.write(answer.body)
        await writer.drain()
