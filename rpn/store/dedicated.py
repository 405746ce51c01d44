"""A connection of one's own, for commands that wait and for what the server says by itself."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rpn.store.failures import Note, translated
from rpn.store.wire import opened, parsed_error

UNREAD_LIMIT = 256
"""replies and messages that may wait before we read no more; the kernel and the server keep the rest"""


class Dedicated(asyncio.Protocol):
    """Used by one loop; broken for good after its first error."""

    def __init__(self, writer: asyncio.StreamWriter, note: Note) -> None:
        self._writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=parsed_error)
        self._unread: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._broken: Exception | None = None
        self._paused = False
        self._end_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_s = 0.0
        """when; uvloop's handle does not know if that is less than half a millisecond from now"""
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, connection: AbstractConnection, note: Note) -> Dedicated:
        """Connect as redis-py does, and take the socket over."""
        return cls(await opened(connection), note)

    async def command(self, *words: Any, limit_s: float) -> Any:
        """One command that may wait up to `limit_s` for its reply."""
        await self.send(*words)
        return await self.receive(limit_s=limit_s)

    async def send(self, *words: Any) -> None:
        if self._broken is not None:
            raise translated(self._broken, self._note)
        self._transport.write(hiredis.pack_command(words))

    async def receive(self, *, limit_s: float | None) -> Any:
        """The next reply or message; None of either within `limit_s` is StoreUnavailable."""
        if not self._unread:
            await self._something(limit_s)
        reply = self._unread.popleft()
        if self._paused and not self._unread:
            self._paused = False
            self._transport.resume_reading()
        if isinstance(reply, Exception):
            raise translated(reply, self._note)
        return reply

    def close(self) -> None:
        """Nothing more comes of it."""
        self._stop_timer()
        self._break(RedisConnectionError("closed"))
        self._transport.abort()

    async def _something(self, limit_s: float | None) -> None:
        if self._broken is not None:
            raise translated(self._broken, self._note)
        self._waiting = self._loop.create_future()
        if limit_s is not None:
            self._expect_by(self._loop.time() + limit_s)
        try:
            await self._waiting
        except Exception as error:
            raise translated(error, self._note) from None
        finally:
            self._waiting = None
            self._end_s = 0.0

    # --- the limit of time: one timer serves many waits, most of which end long before it ---------

    def _expect_by(self, end_s: float) -> None:
        self._end_s = end_s
        if self._timer is not None and self._rings_s > end_s:
            self._stop_timer()
        if self._timer is None:
            self._rings_s = end_s
            self._timer = self._loop.call_at(end_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._end_s:
            return
        if self._loop.time() < self._end_s:
            self._expect_by(self._end_s)
        else:
            self._break(RedisTimeoutError("it did not answer in time"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- what comes in ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._unread.append(reply)
        except hiredis.HiredisError as error:
            self._break(RedisConnectionError(f"what came is no reply: {error!r}"))
            return
        if len(self._unread) > UNREAD_LIMIT and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if self._unread and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(RedisConnectionError(str(exc) if exc is not None else "the server closed it"))

    def _break(self, why: Exception) -> None:
        self._broken = self._broken or why
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(why)
