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


class Asked:
    """Commands on their way, and whoever waits for all their replies."""

    __slots__ = ("answered", "count", "end_s", "replies")

    def __init__(self, count: int, end_s: float, answered: asyncio.Future[list[Any]]) -> None:
        self.count = count
        self.end_s = end_s
        self.answered = answered
        self.replies: list[Any] = []


class Wire(asyncio.Protocol):
    """An open connection; broken for good after its first failure."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=parsed_error)
        self._waiting: deque[Asked] = deque()
        self._timer: asyncio.TimerHandle | None = None
        """rings when the oldest of them should have been answered, or before"""
        self._rings_s = 0.0
        """when; uvloop's handle does not know if that is less than half a millisecond from now"""
        self._finishing = False
        self.broken = False
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, connection: AbstractConnection) -> Wire:
        """Connect as redis-py does, and take the socket over."""
        return cls(await opened(connection))

    def send(self, commands: list[Command], *, limit_s: float) -> asyncio.Future[list[Any]]:
        """The replies to come, in order; that of a refused command is its error.

        They become a RedisConnectionError when it breaks, as it does when they take longer than `limit_s`.
        """
        answered: asyncio.Future[list[Any]] = self._loop.create_future()
        if not commands:
            answered.set_result([])
            return answered
        if self.broken:
            answered.set_exception(RedisConnectionError("the connection is broken"))
            return answered
        packed = b"".join([hiredis.pack_command(command) for command in commands])  # may raise
        end_s = self._loop.time() + limit_s
        self._waiting.append(Asked(len(commands), end_s, answered))
        if self._timer is None or self._rings_s > end_s:
            self._look_at(end_s)
        self._transport.write(packed)
        return answered

    def close(self) -> None:
        """Whoever still waits is told that it broke."""
        self._break("closed")
        self._transport.abort()

    def finish(self) -> None:
        """Close as soon as nobody waits any more."""
        self._finishing = True
        if not self._waiting:
            self.close()

    # --- the limit of time ----------------------------------------------------------------------

    def _look_at(self, time_s: float) -> None:
        """One timer serves many commands, most of which are answered long before it."""
        if self._timer is not None:
            self._timer.cancel()
        self._rings_s = time_s
        self._timer = self._loop.call_at(time_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        end_s = self._waiting[0].end_s
        if self._loop.time() < end_s:
            self._look_at(end_s)
        else:
            self._break("it did not answer in time")
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
        asked = self._waiting[0]
        asked.replies.append(reply)
        if len(asked.replies) == asked.count:
            self._waiting.popleft()
            if not asked.answered.done():
                asked.answered.set_result(asked.replies)
            if self._finishing and not self._waiting:
                self.close()

    def _break(self, why: str) -> None:
        self.broken = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for asked in waiting:
            if not asked.answered.done():
                asked.answered.set_exception(RedisConnectionError(f"the connection broke: {why}"))
                asked.answered.exception()  # whoever does not ask for it any more need not be told


async def opened(connection: AbstractConnection) -> asyncio.StreamWriter:
    """Connect as redis-py does; what comes goes to whoever sets the protocol of its transport.

    The writer must be kept: it would close the transport if nobody did.
    """
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    writer = cast("asyncio.StreamWriter", connection._writer)
    connection._reader = connection._writer = None  # it is ours now
    return writer


def parsed_error(text: str) -> Exception:
    """What hiredis is to make of an error."""
    error: Exception = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]
    return error
