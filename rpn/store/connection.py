"""The way to the pool's server, for short commands and for the few that wait.

redis-py retries nothing for us: a command whose reply was lost may have been done, and only the
caller knows whether doing it again is safe. Whatever means "not now" is StoreUnavailable. Where
others tell who the server is, they are asked again after every sign that it is another one now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, NoScriptError, ResponseError

from rpn.errors import StoreUnavailable
from rpn.store.dedicated import Dedicated
from rpn.store.failures import ELSEWHERE, LOST, answered, failures, translated
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

_BARRIER = files("rpn.store").joinpath("lua", "replica_barrier.lua").read_text(encoding="utf-8")


Send = Callable[[list[tuple[Any, ...]]], Awaitable[list[Any]]]


class Sent(NamedTuple):
    """Commands on their way."""

    wire: Wire
    replies: asyncio.Future[list[Any]]


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

    async def run(
        self, batch: list[tuple[Any, ...]], *, lasting: bool = False, sent: Sent | None = None
    ) -> list[Any]:
        """The same for scripts, as cheaply as can be: replies are as the server sends them.

        What was `sent` already is waited for.
        """
        return await self._answers(batch, self._wired, lasting=lasting, sent=sent)

    def post(self, batch: list[tuple[Any, ...]], *, lasting: bool = False) -> Sent | None:
        """Send scripts now, if the connection is open; with what this returns they are to be `run`."""
        wire = self._line.open_wire
        if wire is None or self._doubtful:
            return None
        whole = [*batch, *self._barrier] if lasting else batch
        return Sent(wire, wire.send(whole, limit_s=COMMAND_LIMIT_S))

    async def _answers(
        self, batch: list[tuple[Any, ...]], send: Send, *, lasting: bool, sent: Sent | None = None
    ) -> list[Any]:
        barrier = self._barrier if lasting else []
        replies = await (send([*batch, *barrier]) if sent is None else self._replies(sent))
        moved = next((n for n, reply in enumerate(replies) if isinstance(reply, MovedError)), None)
        if moved is not None:
            replies[moved:] = await send([*batch, *barrier][moved:])
        answers = [answered(reply) for reply in replies]
        if not barrier:
            return answers
        *answers, marked, replicas = answers
        if not all(isinstance(answer, StoreUnavailable) for answer in answers):
            _check_replicated(marked, replicas)
        return answers

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[Dedicated]:
        """A connection of one's own, for commands that wait. Raises StoreUnavailable."""
        async with self._server(final=True):
            link = await Dedicated.open(self._line.dedicated(), self._note)
        try:
            yield link
        finally:
            link.close()

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
        wire = self._line.open_wire
        if wire is None or self._doubtful:
            async with self._server():
                wire = await self._line.wire()
        return await self._replies(Sent(wire, wire.send(batch, limit_s=COMMAND_LIMIT_S)))

    async def _replies(self, sent: Sent) -> list[Any]:
        try:
            return self._noted(await sent.replies)
        except RedisConnectionError as error:
            sent.wire.close()
            raise translated(error, self._note) from None

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
        with failures(self._note, moved_is_final=final):
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
        if isinstance(error, (*LOST, *ELSEWHERE)):
            self._doubtful = isinstance(self._place, Asked)


def _check_replicated(marked: Any, replicas: Any) -> None:
    """Raise what says that no replica is known to have what was written."""
    for reply in (marked, replicas):
        if isinstance(reply, Exception):
            raise reply
    if replicas < 1:
        raise StoreUnavailable("no replica has acknowledged what was written (RPN_DURABILITY=replica)")


__all__ = ["CONNECTIONS", "Connection", "Dedicated", "Durability", "NoScriptError", "Sent"]
