"""The way to the pool's server, for short commands and for the few that wait.

redis-py retries nothing for us: a command whose reply was lost may have been done, and only the
caller knows whether doing it again is safe. Whatever means "not now" is StoreUnavailable. Where
others tell who the server is, they are asked again after every sign that it is another one now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any, Literal

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rpn.errors import StoreUnavailable
from rpn.store.keys import Keys
from rpn.store.line import CONNECTIONS, Line
from rpn.store.locate import Asked, locate, parse, slot_of
from rpn.store.wire import Wire

COMMAND_LIMIT_S = 2.0
"""how long an ordinary command may take before we give its connection up"""
REPLICA_WAIT_MS = 1000
"""how long a replica may take to acknowledge what must last, within one command's time"""

Durability = Literal["local", "replica"]
"""who must have what was accepted: the server alone, or a replica too"""

_NOT_NOW = (ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError, AskError)
"""server errors after which a command is certainly not done, and may be later"""
_NOT_NOW_CODES = ("MISCONF", "NOREPLICAS")
"""the same, where redis-py has no class; of those that have one it cuts the code from the text"""
_LOST = (RedisConnectionError, RedisTimeoutError, OSError)
_ELSEWHERE = (ReadOnlyError, ClusterDownError, AskError)
"""server errors which tell that the pool lives on another server now; MOVED is an AskError"""

_BARRIER = files("rpn.store").joinpath("lua", "replica_barrier.lua").read_text(encoding="utf-8")


Send = Callable[[list[tuple[Any, ...]]], Awaitable[list[Any]]]


class Connection:
    """All the connections of one process to the server of one pool."""

    def __init__(self, url: str, *, pool: str = "default", durability: Durability = "local") -> None:
        self._place = place = parse(url)
        self._slot = slot_of(pool)
        clustered = isinstance(place, Asked) and place.by == "cluster"
        self.subscribe = "SSUBSCRIBE" if clustered else "SUBSCRIBE"
        """the command that listens to a pool's channel"""
        self.publish = "SPUBLISH" if clustered else "PUBLISH"
        """the command that speaks on it, for scripts; a Cluster would tell the others to every node"""
        self._barrier: list[tuple[Any, ...]] = []
        """what makes sure that a replica has all that was written before"""
        if durability == "replica":
            self._barrier = [("EVAL", _BARRIER, 1, Keys(pool).meta), ("WAIT", 1, REPLICA_WAIT_MS)]
        first = place.master_url(place.nodes[0]) if isinstance(place, Asked) else place.url
        self._line = Line(first, limit_s=COMMAND_LIMIT_S)
        self._doubtful = isinstance(place, Asked)
        """whoever tells who the server is must be asked before the next command"""
        self._asking = asyncio.Lock()

    async def command(self, *words: Any) -> Any:
        """One command and its reply. Raises StoreUnavailable."""
        try:
            async with self._server() as client:
                return await client.execute_command(*words)  # type: ignore[no-untyped-call]
        except MovedError:  # certainly not done, and we know better now
            async with self._server(final=True) as client:
                return await client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def commands(self, batch: list[tuple[Any, ...]], *, lasting: bool = False) -> list[Any]:
        """Several commands in one round trip; a refused one has its error as reply.

        Raises StoreUnavailable, after which each of them may or may not have been done; if they
        are to be `lasting`, then also when it is not known that a replica has them, should
        RPN_DURABILITY want one.
        """
        return await self._answers(batch, self._batch, lasting=lasting)

    async def run(self, batch: list[tuple[Any, ...]], *, lasting: bool = False) -> list[Any]:
        """The same for scripts, as cheaply as can be: replies are as the server sends them."""
        return await self._answers(batch, self._wired, lasting=lasting)

    async def _answers(self, batch: list[tuple[Any, ...]], send: Send, *, lasting: bool) -> list[Any]:
        barrier = self._barrier if lasting else []
        replies = await send([*batch, *barrier])
        moved = next((n for n, reply in enumerate(replies) if isinstance(reply, MovedError)), None)
        if moved is not None:
            replies[moved:] = await send([*batch, *barrier][moved:])
        answers = [_answer(reply) for reply in replies]
        if not barrier:
            return answers
        *answers, marked, replicas = answers
        if not all(isinstance(answer, StoreUnavailable) for answer in answers):
            _check_replicated(marked, replicas)
        return answers

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[Dedicated]:
        """A connection of one's own, for commands that wait. Raises StoreUnavailable."""
        link: AbstractConnection | None = None
        try:
            async with self._server(final=True):
                link = self._line.dedicated()
                await link.connect()  # type: ignore[no-untyped-call]
            yield Dedicated(link, self._note)
        finally:
            if link is not None:
                await link.disconnect(nowait=True)

    async def close(self) -> None:
        await self._line.close()

    async def _batch(self, batch: list[tuple[Any, ...]]) -> list[Any]:
        async with self._server() as client:
            pipeline = client.pipeline(transaction=False)
            for words in batch:
                pipeline.execute_command(*words)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return self._noted(replies)

    async def _wired(self, batch: list[tuple[Any, ...]]) -> list[Any]:
        """Over the one connection that all scripts share; one that does not answer is given up."""
        wire: Wire | None = None
        try:
            async with self._server():
                wire = await self._line.wire()
                replies = await wire.ask(batch)
        except StoreUnavailable:
            if wire is not None:
                wire.close()
            raise
        return self._noted(replies)

    def _noted(self, replies: list[Any]) -> list[Any]:
        for reply in replies:
            if isinstance(reply, ResponseError):
                self._note(reply)
        return replies

    @asynccontextmanager
    async def _server(self, *, final: bool = False) -> AsyncIterator[Redis]:
        """The pool's server, within our own limit of time.

        redis-py's limit goes by `wait_for`, which on Python 3.11 may swallow a cancel. A MOVED goes
        on as it is unless this attempt is the `final` one.
        """
        with _failures(self._note, moved_is_final=final):
            async with asyncio.timeout(COMMAND_LIMIT_S):
                if self._doubtful:
                    await self._ask_again()
                async with self._line.use() as client:
                    yield client

    async def _ask_again(self) -> None:
        """Find out who the server is, once for all who want to know."""
        async with self._asking:
            if not (self._doubtful and isinstance(self._place, Asked)):
                return
            url = self._place.master_url(await locate(self._place, self._slot))
            self._doubtful = False
            if url != self._line.url:
                former, self._line = self._line, Line(url, limit_s=COMMAND_LIMIT_S)
                await former.retire()
            else:
                await self._line.forget_idle()

    def _note(self, error: Exception) -> None:
        """An error may mean that the pool lives elsewhere by now."""
        if isinstance(error, MovedError):
            self._slot = error.slot_id
        if isinstance(error, (*_LOST, *_ELSEWHERE)):
            self._doubtful = isinstance(self._place, Asked)


class Dedicated:
    """One connection, used by one loop; broken for good after its first error."""

    def __init__(self, link: AbstractConnection, note: Callable[[Exception], None]) -> None:
        self._link = link
        self._note = note

    async def command(self, *words: Any, limit_s: float) -> Any:
        """One command that may wait up to `limit_s` for its reply."""
        await self.send(*words)
        return await self.receive(limit_s=limit_s)

    async def send(self, *words: Any) -> None:
        with _failures(self._note):
            await self._link.send_command(*words, check_health=False)

    async def receive(self, *, limit_s: float | None) -> Any:
        """The next reply or message; None of either within `limit_s` is StoreUnavailable."""
        with _failures(self._note):
            async with asyncio.timeout(limit_s):
                return await self._link.read_response(timeout=None, disconnect_on_error=False)


def _answer(reply: Any) -> Any:
    """A reply as it is, but for errors that mean "not now"."""
    return _refusal(reply) if isinstance(reply, ResponseError) and _not_now(reply) else reply


def _check_replicated(marked: Any, replicas: Any) -> None:
    """Raise what says that no replica is known to have what was written."""
    for reply in (marked, replicas):
        if isinstance(reply, Exception):
            raise reply
    if replicas < 1:
        raise StoreUnavailable("no replica has acknowledged what was written (RPN_DURABILITY=replica)")


def _not_now(error: ResponseError) -> bool:
    return isinstance(error, _NOT_NOW) or str(error).startswith(_NOT_NOW_CODES)


def _refusal(error: ResponseError) -> StoreUnavailable:
    if isinstance(error, MovedError):
        return StoreUnavailable(
            f"the pool lives on another node of a Cluster ({error}); "
            "only RPN_REDIS_URL=redis+cluster://HOST:PORT,... can follow it there"
        )
    return StoreUnavailable(f"the pool's server refuses to write: {error}")


@contextmanager
def _failures(note: Callable[[Exception], None], *, moved_is_final: bool = True) -> Iterator[None]:
    """Turn what redis-py raises for "not now" into StoreUnavailable."""
    try:
        yield
    except NoScriptError:
        raise
    except _LOST as error:
        note(error)
        raise StoreUnavailable(f"the pool's server cannot be reached: {error}") from None
    except ResponseError as error:
        note(error)
        if _not_now(error) and (moved_is_final or not isinstance(error, MovedError)):
            raise _refusal(error) from None
        raise


__all__ = ["CONNECTIONS", "Connection", "Dedicated", "Durability", "NoScriptError"]
