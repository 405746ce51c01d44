"""All the connections of one process to one server, until they are given up together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rpn.errors import BadSettings
from rpn.store.wire import Wire

CONNECTIONS = 16
"""commands of one process that may be under way at once"""


class Line:
    """One server, by its URL. Raises BadSettings: it is no URL."""

    def __init__(self, url: str, *, limit_s: float) -> None:
        self.url = url
        self._users = 0
        self._retired = False
        try:
            self._pool = BlockingConnectionPool.from_url(
                url,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=limit_s,
                socket_timeout=None,
                max_connections=CONNECTIONS,
                timeout=limit_s,
            )
        except ValueError as error:
            raise BadSettings(f"RPN_REDIS_URL: {error}") from None
        self._client = Redis(connection_pool=self._pool)
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Redis]:
        """Commands to this server; what is under way when the line is given up comes to its end."""
        self._users += 1
        try:
            yield self._client
        finally:
            self._users -= 1
            if self._retired and not self._users:
                await self._let_go()

    @property
    def open_wire(self) -> Wire | None:
        """The connection that all scripts share, if it is open."""
        wire = self._wire
        return None if wire is None or wire.broken else wire

    async def wire(self) -> Wire:
        """The connection that all scripts share; opened anew when it broke."""
        async with self._opening:
            if self._wire is None or self._wire.broken:
                self._wire = await Wire.open(self.dedicated())
            return self._wire

    def dedicated(self) -> AbstractConnection:
        """A connection that is not shared; not connected yet."""
        link: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return link

    async def retire(self) -> None:
        """Another server took this one's place: let go as soon as nobody waits for an answer."""
        self._retired = True
        if self._wire is not None:
            self._wire.finish()
        if not self._users:
            await self._let_go()

    async def forget_idle(self) -> None:
        """One connection broke: those that wait for work are likely to be dead as well."""
        await self._pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        await self._let_go()

    async def _let_go(self) -> None:
        await self._client.aclose()
        await self._pool.disconnect()
