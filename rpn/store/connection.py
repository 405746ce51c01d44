"""The way to the pool's server, for short commands and for the few that wait.

redis-py retries nothing for us: a command whose reply was lost may have been done, and only the
caller knows whether doing it again is safe. Whatever means "not now" is StoreUnavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rpn.errors import BadSettings, StoreUnavailable

COMMAND_LIMIT_S = 2.0
"""how long an ordinary command may take before we give its connection up"""
CONNECTIONS = 16
"""commands of one process that may be under way at once"""

_NOT_NOW = (ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)
"""server errors after which a command is certainly not done, and may be later"""
_NOT_NOW_CODES = ("MISCONF", "NOREPLICAS")
"""the same, where redis-py has no class; of those that have one it cuts the code from the text"""


class Connection:
    """All the connections of one process to one server."""

    def __init__(self, url: str) -> None:
        try:
            self._pool = BlockingConnectionPool.from_url(
                url,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=COMMAND_LIMIT_S,
                socket_timeout=None,
                max_connections=CONNECTIONS,
                timeout=COMMAND_LIMIT_S,
            )
        except ValueError as error:
            raise BadSettings(f"RPN_REDIS_URL: {error}") from None
        self._client = Redis(connection_pool=self._pool)

    async def command(self, *words: Any) -> Any:
        """One command and its reply. Raises StoreUnavailable."""
        async with _limited():
            return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def commands(self, batch: list[tuple[Any, ...]]) -> list[Any]:
        """Several commands in one round trip; a refused one has its error as reply.

        Raises StoreUnavailable, after which each of them may or may not have been done.
        """
        async with _limited():
            pipeline = self._client.pipeline(transaction=False)
            for words in batch:
                pipeline.execute_command(*words)
            return [_answer(reply) for reply in await pipeline.execute(raise_on_error=False)]

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[Dedicated]:
        """A connection of one's own, for commands that wait. Raises StoreUnavailable."""
        link = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with _limited():
                await link.connect()
            yield Dedicated(link)
        finally:
            await link.disconnect(nowait=True)

    async def close(self) -> None:
        await self._client.aclose()
        await self._pool.disconnect()


class Dedicated:
    """One connection, used by one loop; broken for good after its first error."""

    def __init__(self, link: AbstractConnection) -> None:
        self._link = link

    async def command(self, *words: Any, limit_s: float) -> Any:
        """One command that may wait up to `limit_s` for its reply."""
        await self.send(*words)
        return await self.receive(limit_s=limit_s)

    async def send(self, *words: Any) -> None:
        with _failures():
            await self._link.send_command(*words, check_health=False)

    async def receive(self, *, limit_s: float | None) -> Any:
        """The next reply or message; None of either within `limit_s` is StoreUnavailable."""
        with _failures():
            async with asyncio.timeout(limit_s):
                return await self._link.read_response(timeout=None, disconnect_on_error=False)


@asynccontextmanager
async def _limited() -> AsyncIterator[None]:
    """Our own limit of time: redis-py's goes by `wait_for`, which on Python 3.11 may swallow a cancel."""
    with _failures():
        async with asyncio.timeout(COMMAND_LIMIT_S):
            yield


def _answer(reply: Any) -> Any:
    """A reply as it is, but for errors that mean "not now"."""
    if isinstance(reply, ResponseError) and _not_now(reply):
        return StoreUnavailable(f"the pool's server refuses to write: {reply}")
    return reply


def _not_now(error: ResponseError) -> bool:
    return isinstance(error, _NOT_NOW) or str(error).startswith(_NOT_NOW_CODES)


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what redis-py raises for "not now" into StoreUnavailable."""
    try:
        yield
    except NoScriptError:
        raise
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreUnavailable(f"the pool's server cannot be reached: {error}") from None
    except ResponseError as error:
        if _not_now(error):
            raise StoreUnavailable(f"the pool's server refuses to write: {error}") from None
        raise


__all__ = ["Connection", "Dedicated", "NoScriptError"]
