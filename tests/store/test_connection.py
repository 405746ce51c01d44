"""The promises of rpn.store.connection: whatever means "not now" is StoreUnavailable, and within a time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from rpn.errors import BadSettings, StoreUnavailable
from rpn.store import connection as connection_module
from rpn.store.connection import CONNECTIONS, Connection
from rpn.store.keys import Keys
from tests.store.conftest import Server
from tests.support.patience import PATIENCE_S
from tests.support.servers import ClusterServer

SHORT_S = 0.2
"""a limit for tests that wait until it is over"""


@pytest.fixture
def frozen(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Stops the server without ending it; commands have a short time from then on."""

    def freeze() -> None:
        os.kill(own_server.pid, signal.SIGSTOP)
        monkeypatch.setattr(connection_module, "COMMAND_LIMIT_S", SHORT_S)

    yield freeze
    os.kill(own_server.pid, signal.SIGCONT)


@pytest.fixture
async def own(own_server: Server) -> AsyncIterator[Connection]:
    connection = Connection(own_server.url)
    await connection.command("PING")
    yield connection
    await connection.close()


async def dedicated(connection: Connection) -> None:
    async with connection.dedicated() as link:
        await link.command("PING", limit_s=SHORT_S)


CALLS: list[Callable[[Connection], Awaitable[Any]]] = [
    lambda connection: connection.command("PING"),
    lambda connection: connection.commands([("PING",), ("PING",)]),
    lambda connection: connection.run([("PING",), ("PING",)]),
    dedicated,
]
each_call = pytest.mark.parametrize("call", CALLS, ids=["command", "commands", "run", "dedicated"])


@each_call
async def test_nobody_there_is_unavailable(tmp_path: Path, call: Callable[[Connection], Any]) -> None:
    for url in (f"unix://{tmp_path}/nobody.sock", "redis://127.0.0.1:1/0"):
        connection = Connection(url)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await call(connection)
        await connection.close()


@pytest.mark.parametrize("url", ["", "nowhere", "http://127.0.0.1:6379", "redis://127.0.0.1:port"])
def test_what_is_no_address_names_its_setting(url: str) -> None:
    with pytest.raises(BadSettings, match="RPN_REDIS_URL"):
        Connection(url)


@each_call
async def test_a_frozen_server_is_unavailable_in_time(
    frozen: Callable[[], None], own: Connection, call: Callable[[Connection], Any]
) -> None:
    frozen()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreUnavailable):
            await call(own)


async def test_a_frozen_server_is_unavailable_in_time_for_new_connections_too(
    own_server: Server, frozen: Callable[[], None]
) -> None:
    connection = Connection(own_server.url)
    frozen()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreUnavailable):
            await connection.command("PING")
    await connection.close()


async def test_a_server_that_comes_back_is_reached_again(own_server: Server, own: Connection) -> None:
    own_server.stop()
    with pytest.raises(StoreUnavailable):
        await own.command("SET", "key", "1")
    own_server.start()
    assert await own.command("SET", "key", "1")


async def test_a_server_that_cannot_write_is_unavailable_and_can_be_read(
    connection: Connection, keys: Keys, full_memory: Callable[[], Awaitable[Any]]
) -> None:
    await full_memory()
    write, read = ("SET", keys.fence, "1"), ("GET", keys.fence)
    with pytest.raises(StoreUnavailable, match="refuses to write"):
        await connection.command(*write)
    refused, answered = await connection.commands([write, read])
    assert isinstance(refused, StoreUnavailable)
    assert answered is None


async def test_a_replica_is_unavailable_for_writing(own_server: Server, own: Connection) -> None:
    if isinstance(own_server, ClusterServer):
        pytest.skip("a Cluster says who is whose replica; tests/ha has the failover")
    await own.command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailable, match="refuses to write"):
        await own.command("SET", "key", "1")


async def test_a_mistake_of_ours_is_no_outage(connection: Connection) -> None:
    with pytest.raises(ResponseError):
        await connection.command("NO-SUCH-COMMAND")
    mistaken, answered = await connection.commands([("NO-SUCH-COMMAND",), ("ECHO", "x")])
    assert isinstance(mistaken, ResponseError)
    assert answered == b"x"


async def test_a_cancelled_command_leaves_its_reply_to_nobody(connection: Connection, keys: Keys) -> None:
    waiting = asyncio.create_task(connection.command("BLPOP", keys.open, "1"))
    while b"blpop" not in await connection.command("CLIENT", "LIST"):
        pass
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    replies = await asyncio.gather(*(connection.command("ECHO", str(number)) for number in range(50)))
    assert replies == [str(number).encode() for number in range(50)]


async def test_more_commands_than_connections_wait_for_each_other(connection: Connection) -> None:
    count = 4 * CONNECTIONS
    replies = await asyncio.gather(*(connection.command("ECHO", str(each)) for each in range(count)))
    assert replies == [str(each).encode() for each in range(count)]


async def test_a_dedicated_connection_may_wait_and_is_given_up_at_its_limit(
    connection: Connection, keys: Keys
) -> None:
    async with connection.dedicated() as link:
        assert await link.command("BLPOP", keys.open, "0.01", limit_s=5) is None
        with pytest.raises(StoreUnavailable):
            await link.command("BLPOP", keys.open, "5", limit_s=0.01)


async def test_a_dedicated_connection_that_is_cut_is_unavailable(connection: Connection, keys: Keys) -> None:
    async with connection.dedicated() as link:
        await link.command("SUBSCRIBE", keys.events, limit_s=1)
        await connection.command("CLIENT", "KILL", "TYPE", "pubsub")
        with pytest.raises(StoreUnavailable):
            await link.receive(limit_s=5)
