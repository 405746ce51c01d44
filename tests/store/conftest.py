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
from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer, server
from rpn.store.keys import Keys, task_of
from rpn.store.pool import PoolStore
from tests.store.batches import Gateway
from tests.store.listening import Following, Listener, following, listening

VALKEY = pytest.param("valkey", id="valkey")
REDIS = pytest.param("redis", id="redis7", marks=pytest.mark.slow)

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


SERVERS = {"valkey": EmbeddedServer, "redis": RedisServer}


@pytest.fixture(scope="session", params=[VALKEY, REDIS])
def shared_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    """One server for all tests that do not harm it, and do not ask what a crash would leave."""
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as embedded:
        with redis.Redis.from_url(embedded.url) as connection:
            connection.config_set("appendfsync", "no")
        yield embedded


@pytest.fixture(params=[VALKEY, REDIS])
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server for one test that stops, kills or freezes it."""
    with SERVERS[request.param](tmp_path) as embedded:
        yield embedded


@pytest.fixture
async def connection(shared_server: EmbeddedServer) -> AsyncIterator[Connection]:
    connection = Connection(shared_server.url)
    yield connection
    await connection.close()


@pytest.fixture
async def keys(connection: Connection) -> AsyncIterator[Keys]:
    """A pool of this test's own; in the end every key of it expires, or may stay, or is an open task."""
    keys = Keys(f"t{next(_pools)}")
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
    """Loses replies of commands that the server has done."""

    lost_next = 0

    async def command(self, *words: Any) -> Any:
        reply = await super().command(*words)
        if self.lost_next:
            self.lost_next -= 1
            raise StoreUnavailable("the reply was lost")
        return reply


@pytest.fixture
async def forgetful(shared_server: EmbeddedServer) -> AsyncIterator[Forgetful]:
    connection = Forgetful(shared_server.url)
    yield connection
    await connection.close()


@pytest.fixture
async def full_memory(connection: Connection) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Makes the server one that has used up its memory, until the test ends."""
    yield lambda: connection.command("CONFIG", "SET", "maxmemory", "1")
    await connection.command("CONFIG", "SET", "maxmemory", "0")
