"""The promises of rpn.store.follower: the mirror is what the store holds, and heals whatever it missed."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from rpn.errors import StoreUnavailable
from rpn.replica import Replica, What
from rpn.store import follower
from rpn.store.connection import CONNECTIONS, Connection
from rpn.store.keys import Keys
from rpn.store.pool import PoolStore
from tests.store.batches import Gateway, heard, identity, join, leave, lose, measurement, report
from tests.store.conftest import Server
from tests.store.listening import Following, following

T = TypeVar("T")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirror and store are compared all the time."""
    monkeypatch.setattr(follower, "COMPARE_EVERY_S", 0.01)
    monkeypatch.setattr(follower, "BEHIND_LIMIT_S", 0.01)


LATER_MS = 4_000_000_000_000
"""after everything that happens in these tests"""


class Silent:
    """Changes the pool without a word, as it looks to somebody who missed the events."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._commands: list[tuple[Any, ...]] = []

    def join(self, device_id: str, session: str = "s1", report: bytes = b"", name: str = "a device") -> None:
        k = self._keys
        self._commands += [
            ("HSET", k.sessions, device_id, f"{session} g1"),
            ("HSET", k.devices, device_id, identity(name)),
            ("ZADD", k.seen, LATER_MS, device_id),
            ("ZREM", k.lost, device_id),
        ]
        if report:
            self._commands.append(("HSET", k.resources, device_id, report))

    def lose(self, device_id: str) -> None:
        self._commands.append(("ZADD", self._keys.lost, 1000, device_id))

    def leave(self, device_id: str) -> None:
        k = self._keys
        self._commands += [("HDEL", key, device_id) for key in (k.sessions, k.devices, k.resources)]
        self._commands += [("ZREM", key, device_id) for key in (k.seen, k.lost)]

    async def done(self, *first: tuple[Any, ...]) -> None:
        k = self._keys
        last = [("HINCRBY", k.meta, "rev", 1), ("HSET", k.meta, "tip", "unheard")]
        await self._connection.commands([*first, *self._commands, *last])
        self._commands = []


@pytest.fixture
def silent(connection: Connection, keys: Keys) -> Silent:
    return Silent(connection, keys)


async def test_it_begins_with_what_is_there(connection: Connection, keys: Keys, gateway: Gateway) -> None:
    await gateway.join("a", "b")
    async with following(connection, keys) as followed:
        assert followed.told == [(What.JOINED, "a"), (What.JOINED, "b")]
        assert followed.follower.current


async def test_it_sees_what_happens(gateway: Gateway, followed: Following) -> None:
    await gateway.join("a")
    await gateway.send(report("a"))
    await gateway.send(lose("a"))
    await gateway.join("a", session="s2")
    await gateway.send(leave("a", "s2 g1"), join("b"))
    await followed.until_there("b")
    told = [What.JOINED, What.REPORTED, What.LOST, What.RESUMED, What.LEFT]
    assert followed.told == [*((each, "a") for each in told), (What.JOINED, "b")]
    assert followed.follower.resyncs == 0


async def test_it_tells_nothing_where_nobody_outside_needs_to_know(
    gateway: Gateway, followed: Following
) -> None:
    await gateway.join("a")
    applied = await gateway.send(heard("a"))
    await followed.until(lambda: followed.replica.rev == applied.rev)
    assert followed.told == [(What.JOINED, "a")]
    assert followed.replica.devices["a"].seen_ms == applied.now_ms


async def test_it_knows_the_clock_of_the_store(gateway: Gateway, followed: Following) -> None:
    applied = await gateway.send()
    assert abs(followed.follower.now_ms() - applied.now_ms) < 1000


async def test_a_missed_event_is_noticed_at_the_next(
    pool: PoolStore, gateway: Gateway, followed: Following, silent: Silent
) -> None:
    await gateway.join("a", "b")
    await followed.until_there("a", "b")
    silent.leave("a")
    silent.join("c")
    await silent.done()
    await gateway.join("d")
    await followed.until_there("b", "c", "d")
    assert set(followed.told[2:]) == {(What.LEFT, "a"), (What.JOINED, "c"), (What.JOINED, "d")}
    assert (len(followed.changes), followed.follower.resyncs) == (5, 1)
    assert followed.replica.tip == (await pool.snapshot()).tip


@pytest.mark.usefixtures("hasty")
async def test_a_missed_event_is_noticed_although_none_follows(
    gateway: Gateway, followed: Following, silent: Silent
) -> None:
    await gateway.join("a")
    await followed.until_there("a")
    silent.join("b")
    await silent.done()
    await followed.until_there("a", "b")
    assert followed.told == [(What.JOINED, "a"), (What.JOINED, "b")]


@pytest.mark.usefixtures("hasty")
async def test_a_store_that_went_back_is_noticed(
    connection: Connection, keys: Keys, gateway: Gateway, followed: Following
) -> None:
    await gateway.join("a")
    await followed.until_there("a")
    await connection.command("DEL", *keys.permanent)
    await followed.until_there()
    assert followed.told == [(What.JOINED, "a"), (What.LEFT, "a")]


async def test_a_broken_subscription_heals_with_exactly_the_difference(
    gateway: Gateway, followed: Following, silent: Silent
) -> None:
    await gateway.send(*(join(each, report=measurement(each)) for each in "abcdef"))
    await followed.until_there(*"abcdef")
    followed.changes.clear()
    silent.leave("a")
    silent.join("b", report=measurement("b", 50))
    silent.join("c", session="s2")
    silent.join("d", name="Dora's")
    silent.lose("e")
    silent.join("g")
    await silent.done(("CLIENT", "KILL", "TYPE", "pubsub"))
    await followed.until_there(*"bcdefg")
    assert sorted(followed.told, key=lambda each: each[1]) == [
        (What.LEFT, "a"),
        (What.REPORTED, "b"),
        (What.RESUMED, "c"),
        (What.RENAMED, "d"),
        (What.LOST, "e"),
        (What.JOINED, "g"),
    ]


# --- what a snapshot shows ---------------------------------------------------------------------


async def test_a_snapshot_that_shows_nothing_new_tells_nothing(pool: PoolStore, gateway: Gateway) -> None:
    replica = Replica()
    await gateway.send(join("a", report=measurement("a", 5)))
    replica.load(await pool.snapshot())
    assert replica.load(await pool.snapshot()) == []


async def test_a_new_session_with_a_new_report_is_both_told(pool: PoolStore, gateway: Gateway) -> None:
    replica = Replica()
    await gateway.join("a")
    replica.load(await pool.snapshot())
    await gateway.send(join("a", "s2", report=measurement("a", 50)))
    changes = replica.load(await pool.snapshot())
    assert [(change.what, change.old_session) for change in changes] == [
        (What.RESUMED, "s1"),
        (What.REPORTED, ""),
    ]


async def test_who_left_and_came_back_unseen_shows_nothing_of_before(
    pool: PoolStore, gateway: Gateway
) -> None:
    replica = Replica()
    await gateway.send(join("a", report=measurement("a", 50)))
    replica.load(await pool.snapshot())
    await gateway.send(leave("a"))
    await gateway.join("a", session="s2")
    changes = replica.load(await pool.snapshot())
    assert [change.what for change in changes] == [What.LEFT, What.JOINED]
    assert replica.devices["a"].frame == b""
    assert replica.totals.total_cpu_cores == 0


async def test_a_join_that_brings_a_report_is_both_told(gateway: Gateway, followed: Following) -> None:
    await gateway.join("a")
    await gateway.send(join("a", "s2", report=measurement("a", 50)))
    await followed.until(lambda: followed.replica.rev == 2)
    assert followed.told == [(What.JOINED, "a"), (What.RESUMED, "a"), (What.REPORTED, "a")]


# --- servers that come and go -------------------------------------------------------------------


def stop_in_order(server: Server) -> None:
    server.stop()


def kill(server: Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """Call until no connection of before is left to be tried."""
    for _ in range(CONNECTIONS):
        with suppress(StoreUnavailable):
            return await call()
    return await call()


@pytest.mark.parametrize("end", [stop_in_order, kill])
async def test_a_server_that_comes_back_has_lost_nothing(own_server: Server, end: Any) -> None:
    connection, keys = Connection(own_server.url), Keys("p")
    pool = PoolStore(connection, keys)
    gateway = Gateway(pool)
    names = [f"d{number}" for number in range(50)]
    async with following(connection, keys) as followed:
        for name in names:
            await gateway.join(name)
        before = await pool.snapshot()
        end(own_server)
        own_server.start()
        after = await again(pool.snapshot)
        assert after._replace(now_ms=0) == before._replace(now_ms=0)
        await again(lambda: gateway.join("after"))
        await followed.until_there(*names, "after")
        assert followed.told == [(What.JOINED, name) for name in [*names, "after"]]
    await connection.close()


async def test_what_an_event_took_to_be_heard_is_counted(followed: Following, gateway: Gateway) -> None:
    await gateway.join("a")
    await followed.until_there("a")
    assert followed.follower.events == 1
    assert 0 <= followed.follower.delay_ms < 5000
