"""The promises of rpn.store.wire: to everybody their own replies, and nobody waits on a dead connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection, NoScriptError
from rpn.store.keys import Keys
from rpn.store.wire import Wire
from tests.store.conftest import Server
from tests.support.patience import PATIENCE_S


async def test_many_ask_at_once_and_each_gets_its_own(connection: Connection) -> None:
    asking = [connection.run([("ECHO", f"{n}"), ("ECHO", f"{n}!")]) for n in range(100)]
    assert await asyncio.gather(*asking) == [[b"%d" % n, b"%d!" % n] for n in range(100)]
    assert await connection.run([]) == []


async def test_a_refused_command_has_its_error_and_the_others_their_replies(
    connection: Connection, keys: Keys
) -> None:
    refused, answered = await connection.run([("EVALSHA", "0" * 40, 1, keys.meta), ("ECHO", b"\xff\x00")])
    assert isinstance(refused, NoScriptError)
    assert answered == b"\xff\x00"


async def test_what_cannot_be_sent_leaves_everybody_their_own(connection: Connection) -> None:
    sound = asyncio.ensure_future(connection.run([("ECHO", "before")]))
    with pytest.raises(TypeError):
        await connection.run([("ECHO", "half"), ("ECHO", None)])
    assert await connection.run([("ECHO", "after")]) == [b"after"]
    assert await sound == [b"before"]


async def test_who_goes_away_takes_nobodys_reply_along(connection: Connection) -> None:
    await connection.run([("PING",)])
    gone = asyncio.ensure_future(connection.run([("ECHO", "gone")]))
    stayed = asyncio.ensure_future(connection.run([("ECHO", "stayed")]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stayed == [b"stayed"]


async def test_who_waits_when_the_server_ends_is_told_and_the_next_connects_anew(own_server: Server) -> None:
    connection = Connection(own_server.url)
    await connection.run([("PING",)])
    own_server.stop()
    with pytest.raises(StoreUnavailable):
        await connection.run([("PING",)])
    own_server.start()
    async with asyncio.timeout(PATIENCE_S):
        assert await connection.run([("ECHO", "x")]) == [b"x"]
    await connection.close()


def test_who_asks_when_the_time_is_all_but_over_waits_as_everybody_does(own_server: Server) -> None:
    """uvloop's timers count whole milliseconds; one that is due sooner is no timer."""
    uvloop = pytest.importorskip("uvloop", reason="there is no uvloop for this platform")

    async def ask_with_hardly_any_time() -> list[Any]:
        connection = Connection(own_server.url)
        await connection.run([("PING",)])
        wire = connection._line.open_wire
        assert isinstance(wire, Wire)
        hurried = [wire.send([("ECHO", "x")], limit_s=limit_s) for limit_s in (0.0003, 0.0002)]
        replies: list[Any] = await asyncio.gather(*hurried, return_exceptions=True)
        await connection.close()
        return replies

    for reply in uvloop.run(ask_with_hardly_any_time()):
        assert reply == [b"x"] or isinstance(reply, RedisConnectionError), reply
