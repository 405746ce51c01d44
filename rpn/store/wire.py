"""One connection for scripts: many at once, packed and read by hiredis with nothing in between.

redis-py opens it (addresses, TLS, passwords) and then hands it over: its way of a command through a
pool, a pipeline and a stream costs several times what the command itself does. Whoever waits for a
reply may go away: replies come in the order of the commands, and nobody's is somebody else's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

Command = tuple[Any, ...]


class Wire(asyncio.Protocol):
    """An open connection; broken for good after its first failure."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer  # which would close its transport if nobody kept it
        self._transport = cast("asyncio.Transport", writer.transport)
        self._reader = hiredis.Reader(replyError=_error)
        self._waiting: deque[tuple[int, list[Any], asyncio.Future[list[Any]]]] = deque()
        self.broken = False

    @classmethod
    async def open(cls, connection: AbstractConnection) -> Wire:
        """Connect as redis-py does, and take the socket over."""
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        wire = cls(cast("asyncio.StreamWriter", connection._writer))
        wire._transport.set_protocol(wire)
        connection._reader = connection._writer = None  # it is ours now
        return wire

    async def ask(self, commands: list[Command]) -> list[Any]:
        """The replies, in order; that of a refused command is its error. Raises RedisConnectionError."""
        if not commands:
            return []
        if self.broken:
            raise RedisConnectionError("the connection is broken")
        packed = b"".join([hiredis.pack_command(command) for command in commands])  # may raise
        answered: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((len(commands), [], answered))
        self._transport.write(packed)
        return await answered

    def close(self) -> None:
        """Whoever still waits is told that it broke."""
        self._break("closed")
        self._transport.abort()

    # --- what comes in ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except (hiredis.HiredisError, IndexError) as error:
            self._break(f"what came is no reply: {error!r}")
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(str(exc) if exc is not None else "the server closed it")

    def _take(self, reply: Any) -> None:
        count, replies, answered = self._waiting[0]
        replies.append(reply)
        if len(replies) == count:
            self._waiting.popleft()
            if not answered.done():
                answered.set_result(replies)

    def _break(self, why: str) -> None:
        self.broken = True
        waiting, self._waiting = self._waiting, deque()
        for _, _, answered in waiting:
            if not answered.done():
                answered.set_exception(RedisConnectionError(f"the connection broke: {why}"))


def _error(text: str) -> Exception:
    error: Exception = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]
    return error
