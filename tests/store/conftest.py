"""Real servers for the store's tests, and for each test a pool of its own that must leave nothing behind."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection, NoScriptError, Sent
from rpn.store.embedded import EmbeddedServer, server
from rpn.store.keys import Keys, task_of
from rpn.store.pool import PoolStore
from tests.store.batches import Gateway
from tests.store.listening import Following, Listener, following, listening
from tests.support.servers import ClusterServer

VALKEY = pytest.param("valkey", id="valkey")
REDIS = pytest.param("redis", id="redis7", marks=pytest.mark.slow)
CLUSTER = pytest.param("cluster", id="cluster", marks=pytest.mark.slow)

Server = EmbeddedServer | ClusterServer

_pools = itertools.count(1)


class RedisServer(EmbeddedServer):
    """A server like ours that runs another program."""

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("no redis-server on this machine")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server, "find_server", lambda: program)
            super().start()


def made(kind: str, directory: Path) -> Server:
    """A server of this kind, not started yet."""
    if kind == "cluster":
        return ClusterServer(directory)
    return RedisServer(directory) if kind == "redis" else EmbeddedServer(directory)


def hurried(server: Server) -> None:
    """Let it not wait for the disk."""
    urls = [server.url]
    if isinstance(server, ClusterServer):
        urls = [f"redis://127.0.0.1:{node.port}" for node in server.nodes]
    for url in urls:
        with redis.Redis.from_url(url) as connection:
            connection.config_set("appendfsync", "no")


@pytest.fixture(scope="session", params=[VALKEY, REDIS, CLUSTER])
def shared_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server for all tests that do not harm it, and do not ask what a crash would leave."""
    with made(request.param, tmp_path_factory.mktemp(request.param)) as server:
        hurried(server)
        yield server


@pytest.fixture(params=[VALKEY, REDIS, CLUSTER])
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server for one test that stops, kills or freezes it."""
    with made(request.param, tmp_path) as server:
        yield server


@pytest.fixture
def pool_name() -> str:
    """Of a pool of this test's own."""
    return f"t{next(_pools)}"


@pytest.fixture
async def connection(shared_server: Server, pool_name: str) -> AsyncIterator[Connection]:
    connection = Connection(shared_server.url, pool=pool_name)
    yield connection
    await connection.close()


@pytest.fixture
async def keys(connection: Connection, pool_name: str) -> AsyncIterator[Keys]:
    """The test's own pool; in the end every key of it expires, or may stay, or is an open task."""
    keys = Keys(pool_name)
    yield keys
    found = [key.decode() for key in await connection.command("KEYS", keys.prefix + "*")]
    ttls_ms = await connection.commands([("PTTL", key) for key in found])
    open_tasks = await connection.command("ZRANGE", keys.open, 0, -1)
    await connection.commands([("DEL", key) for key in found])
    for_ever = {key for key, ttl_ms in zip(found, ttls_ms, strict=True) if ttl_ms == -1}
    assert for_ever - {keys.task(*task_of(member.decode())) for member in open_tasks} <= keys.permanent


@pytest.fixture
def pool(connection: Connection, keys: Keys) -> PoolStore:
    return PoolStore(connection, keys)


@pytest.fixture
def gateway(pool: PoolStore) -> Gateway:
    """The gateway g1."""
    return Gateway(pool)


@pytest.fixture
async def listener(connection: Connection, keys: Keys) -> AsyncIterator[Listener]:
    async with listening(connection, keys) as listener:
        yield listener


@pytest.fixture
async def followed(connection: Connection, keys: Keys) -> AsyncIterator[Following]:
    async with following(connection, keys) as followed:
        yield followed


class Forgetful(Connection):
    """Loses replies of commands that the server has done; that it does not have a script is told."""

    lost_next = 0
    lost_posts = 0
    """commands that were posted whose replies are lost, the first time"""
    unsent_posts = 0
    """commands that are not sent when they are posted"""

    async def command(self, *words: Any) -> Any:
        reply = await super().command(*words)
        self._lose()
        return reply

    async def commands(self, batch: list[tuple[Any, ...]], *, lasting: bool = False) -> list[Any]:
        replies = await super().commands(batch, lasting=lasting)
        self._lose()
        return replies

    async def run(
        self, batch: list[tuple[Any, ...]], *, lasting: bool = False, sent: Sent | None = None
    ) -> list[Any]:
        replies = await super().run(batch, lasting=lasting, sent=sent)
        if sent is not None and self.lost_posts:
            self.lost_posts -= 1
            self.lost_next += 1
        if not any(isinstance(reply, NoScriptError) for reply in replies):
            self._lose()
        return replies

    def post(self, batch: list[tuple[Any, ...]], *, lasting: bool = False) -> Sent | None:
        if self.unsent_posts:
            self.unsent_posts -= 1
            return None
        return super().post(batch, lasting=lasting)

    def _lose(self) -> None:
        if self.lost_next:
            self.lost_next -= 1
            raise StoreUnavailable("the reply was lost")


@pytest.fixture
async def forgetful(shared_server: Server, pool_name: str) -> AsyncIterator[Forgetful]:
    connection = Forgetful(shared_server.url, pool=pool_name)
    yield connection
    await connection.close()


@pytest.fixture
async def full_memory(connection: Connection) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Makes the server one that has used up its memory, until the test ends."""
    yield lambda: connection.command("CONFIG", "SET", "maxmemory", "1")
    await connection.command("CONFIG", "SET", "maxmemory", "0")
