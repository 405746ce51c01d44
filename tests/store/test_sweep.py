"""The promises of rpn.store.sweep: the dead leave once, who comes back stays, an outage removes nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from rpn.events import Kind
from rpn.settings import StoreSettings
from rpn.store import sweep
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.pool import PoolStore, Resync
from rpn.store.sweep import Sweeper
from tests.store.batches import Gateway, heard, join, leave, lose, measurement
from tests.store.conftest import Server
from tests.store.listening import Listener

LONG_AGO = 1
SETTINGS = StoreSettings(reconnect_grace_s=600, silence_limit_s=600)
NAMES = [f"d{number}" for number in range(40)]


class Clock:
    """Makes things old, by writing when they happened."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def end_lease(self, gateway: str) -> None:
        await self._connection.command("ZADD", self._keys.gateways, LONG_AGO, gateway)

    async def end_grace(self, *device_ids: str) -> None:
        for device_id in device_ids:
            await self._connection.command("ZADD", self._keys.lost, "XX", LONG_AGO, device_id)

    async def silence(self, *device_ids: str) -> None:
        for device_id in device_ids:
            await self._connection.command("ZADD", self._keys.seen, "XX", LONG_AGO, device_id)

    async def end_amnesty(self) -> None:
        await self._connection.command("HSET", self._keys.meta, "amnesty", LONG_AGO)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing grows old by itself, however slow the machine is."""
    monkeypatch.setattr(sweep, "AWAY_MS", 600_000)
    monkeypatch.setattr(sweep, "AMNESTY_MS", 600_000)


@pytest.fixture
def clock(connection: Connection, keys: Keys) -> Clock:
    return Clock(connection, keys)


@pytest.fixture
async def sweeper(connection: Connection, keys: Keys, clock: Clock) -> Sweeper:
    """One that swept a moment ago, of a server that was there all the time."""
    sweeper = Sweeper(connection, keys, SETTINGS)
    await sweeper.sweep()
    await clock.end_amnesty()
    return sweeper


@pytest.fixture
async def sweepers(shared_server: Server, keys: Keys, sweeper: Sweeper) -> AsyncIterator[list[Sweeper]]:
    """Three, each with a connection of its own."""
    connections = [Connection(shared_server.url) for _ in range(3)]
    yield [Sweeper(connection, keys, SETTINGS) for connection in connections]
    for connection in connections:
        await connection.close()


async def told(listener: Listener) -> list[tuple[Kind, str, str]]:
    """What the events since the last call said: kind, device, reason."""
    operations = [operation for event in await listener.heard() for operation in event.operations]
    return sorted((each.kind, each.device_id, each.reason) for each in operations)


async def test_the_living_are_left_alone(gateway: Gateway, sweeper: Sweeper, listener: Listener) -> None:
    await gateway.join("a", "b")
    await gateway.send(lose("b"))
    await listener.heard()
    assert await sweeper.sweep() == 0
    assert await told(listener) == []


async def test_the_devices_of_a_dead_gateway_are_lost_and_no_others(
    pool: PoolStore, gateway: Gateway, sweeper: Sweeper, clock: Clock, listener: Listener
) -> None:
    await gateway.join("a")
    await Gateway(pool, "g2").join("b")
    await clock.end_lease("g1")
    await listener.heard()
    assert await sweeper.sweep() == 1
    assert await told(listener) == [(Kind.LOSE, "a", "")]
    snapshot = await pool.snapshot()
    assert (set(snapshot.sessions), set(snapshot.lost_ms)) == ({"a", "b"}, {"a"})


async def test_a_dead_gateway_is_forgotten_with_its_mailbox(
    connection: Connection, keys: Keys, gateway: Gateway, sweeper: Sweeper, clock: Clock
) -> None:
    await gateway.join("a")
    for name in ("g1", "g2"):
        await connection.command("XADD", keys.mailbox(name), "*", "m", "letter")
        await connection.command("PEXPIRE", keys.mailbox(name), 60_000)
    await clock.end_lease("g1")
    await sweeper.sweep()
    assert await connection.command("EXISTS", keys.mailbox("g1"), keys.gateways, keys.batches) == 0
    assert await connection.command("EXISTS", keys.mailbox("g2")) == 1
    with pytest.raises(Resync):
        await gateway.send(heard("a"))


class Paused(Connection):
    """Lets something happen between its first command and its second."""

    def __init__(self, url: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(url)
        self._meanwhile = meanwhile
        self._commands = 0

    async def run(self, batch: list[tuple[Any, ...]], **how: Any) -> list[Any]:
        self._commands += 1
        if self._commands == 2:
            await self._meanwhile()
        return await super().run(batch, **how)


@pytest.mark.usefixtures("sweeper")
@pytest.mark.parametrize("sign", [Gateway.send, lambda g: g.send(heard("silent"), join("lost", "s2"))])
async def test_a_sign_of_life_between_looking_and_removing_counts(
    shared_server: Server,
    keys: Keys,
    gateway: Gateway,
    clock: Clock,
    listener: Listener,
    sign: Callable[[Gateway], Awaitable[object]],
) -> None:
    await gateway.join("orphan", "silent", "lost")
    await gateway.send(lose("lost"))
    await clock.end_lease("g1")
    await clock.silence("silent")
    await clock.end_grace("lost")
    await listener.heard()
    paused = Paused(shared_server.url, lambda: sign(gateway))
    await Sweeper(paused, keys, SETTINGS).sweep()
    await paused.close()
    removed = {device_id for kind, device_id, _ in await told(listener) if kind in (Kind.LOSE, Kind.LEAVE)}
    assert removed == (set() if sign is not Gateway.send else {"silent", "lost"})
    await gateway.send(heard("orphan"))


@pytest.mark.usefixtures("sweeper")
async def test_who_moves_to_a_living_gateway_between_looking_and_removing_is_not_lost(
    shared_server: Server, keys: Keys, pool: PoolStore, gateway: Gateway, clock: Clock
) -> None:
    await gateway.join("moved", "orphan")
    await clock.end_lease("g1")
    other = Gateway(pool, "g2")
    paused = Paused(shared_server.url, lambda: other.join("moved", session="s2"))
    assert await Sweeper(paused, keys, SETTINGS).sweep() == 1
    await paused.close()
    assert (await pool.snapshot()).lost_ms.keys() == {"orphan"}


async def test_who_comes_back_within_the_grace_never_left(
    pool: PoolStore, gateway: Gateway, sweeper: Sweeper, clock: Clock, listener: Listener
) -> None:
    await gateway.join("a", "b")
    await clock.end_lease("g1")
    await sweeper.sweep()
    await Gateway(pool, "g2").join("a", session="s2")
    await clock.end_grace("a", "b")
    await listener.heard()
    assert await sweeper.sweep() == 1
    assert await told(listener) == [(Kind.LEAVE, "b", "cut")]
    assert (await pool.snapshot()).sessions == {"a": "s2 g2"}


async def test_who_stays_away_leaves_once_however_many_sweep(
    pool: PoolStore, gateway: Gateway, sweepers: list[Sweeper], clock: Clock, listener: Listener
) -> None:
    await gateway.send(*(join(name, report=measurement(name)) for name in NAMES))
    await clock.end_lease("g1")
    await listener.heard()
    assert sum(await asyncio.gather(*(each.sweep() for each in sweepers))) == len(NAMES)
    assert await told(listener) == sorted((Kind.LOSE, name, "") for name in NAMES)
    await clock.end_grace(*NAMES)
    assert sum(await asyncio.gather(*(each.sweep() for each in sweepers))) == len(NAMES)
    assert await told(listener) == sorted((Kind.LEAVE, name, "cut") for name in NAMES)
    assert (await pool.snapshot())[3:] == ({}, {}, {}, {}, {})


async def test_who_comes_back_while_others_sweep_either_stayed_or_joins_anew(
    pool: PoolStore, gateway: Gateway, sweepers: list[Sweeper], clock: Clock, listener: Listener
) -> None:
    await gateway.join(*NAMES)
    await gateway.send(*map(lose, NAMES))
    await clock.end_grace(*NAMES)
    await listener.heard()
    other = Gateway(pool, "g2")
    sweeps = [each.sweep() for each in sweepers]
    removed, _ = await asyncio.gather(asyncio.gather(*sweeps), other.join(*NAMES[::2], session="s2"))
    left = [name for kind, name, _ in await told(listener) if kind is Kind.LEAVE]
    assert len(left) == len(set(left)) == sum(removed)
    assert (await pool.snapshot()).sessions == dict.fromkeys(NAMES[::2], "s2 g2")


async def test_the_silent_leave(
    pool: PoolStore, gateway: Gateway, sweeper: Sweeper, clock: Clock, listener: Listener
) -> None:
    await gateway.join("quiet", "loud")
    await clock.silence("quiet")
    await listener.heard()
    assert await sweeper.sweep() == 1
    assert await told(listener) == [(Kind.LEAVE, "quiet", "silent")]
    assert (await pool.snapshot()).sessions.keys() == {"loud"}


async def test_what_a_sweep_does_is_a_link_in_the_chain(
    gateway: Gateway, sweeper: Sweeper, clock: Clock, listener: Listener
) -> None:
    await gateway.join("a", "b")
    await clock.silence("a")
    await sweeper.sweep()
    await gateway.send(leave("b"))
    events = await listener.heard()
    assert [(event.rev, event.source) for event in events] == [(1, "g1"), (2, "-"), (3, "g1")]
    assert [event.prev for event in events[1:]] == [event.tip for event in events[:-1]]


async def test_a_trace_without_a_session_is_wiped(
    connection: Connection, keys: Keys, sweeper: Sweeper, clock: Clock
) -> None:
    await connection.command("ZADD", keys.seen, LONG_AGO, "ghost")
    await connection.command("HSET", keys.resources, "ghost", "report")
    assert await sweeper.sweep() == 1
    assert await connection.command("EXISTS", keys.seen, keys.resources) == 0


# --- outages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["swept", "run_id"])
async def test_after_an_outage_nobody_is_removed_until_the_amnesty_ends(
    connection: Connection,
    keys: Keys,
    pool: PoolStore,
    gateway: Gateway,
    sweeper: Sweeper,
    clock: Clock,
    field: str,
) -> None:
    await gateway.join("a", "b", "c")
    await gateway.send(lose("b"))
    await clock.end_grace("b")
    await clock.silence("c")
    await clock.end_lease("g1")
    await connection.command("HSET", keys.meta, field, LONG_AGO)
    assert [await sweeper.sweep() for _ in range(3)] == [0, 0, 0]
    assert (await pool.snapshot()).sessions.keys() == {"a", "b", "c"}
    await clock.end_amnesty()
    assert await sweeper.sweep() == 3


async def test_an_amnesty_lasts_as_long_as_it_says(
    connection: Connection, keys: Keys, sweeper: Sweeper, gateway: Gateway
) -> None:
    await connection.command("HSET", keys.meta, "swept", LONG_AGO)
    before_ms = (await gateway.send()).now_ms
    await sweeper.sweep()
    after_ms = (await gateway.send()).now_ms
    amnesty_ms = int(await connection.command("HGET", keys.meta, "amnesty"))
    assert before_ms + sweep.AMNESTY_MS <= amnesty_ms <= after_ms + sweep.AMNESTY_MS


async def test_a_server_that_was_restarted_gives_amnesty(own_server: Server) -> None:
    keys = Keys("p")
    before = Connection(own_server.url)
    await Sweeper(before, keys, SETTINGS).sweep()
    await Clock(before, keys).end_amnesty()
    await Gateway(PoolStore(before, keys)).join("a")
    await Clock(before, keys).end_lease("g1")
    await before.close()
    own_server.stop()
    own_server.start()
    after = Connection(own_server.url)
    assert await Sweeper(after, keys, SETTINGS).sweep() == 0
    await Clock(after, keys).end_amnesty()
    assert await Sweeper(after, keys, SETTINGS).sweep() == 1
    await after.close()


async def test_after_a_restart_every_gateway_must_join_its_devices_again(own_server: Server) -> None:
    keys = Keys("default")
    before = Connection(own_server.url)
    gateway = Gateway(PoolStore(before, keys))
    await gateway.join("a")
    await Sweeper(before, keys, SETTINGS).sweep()
    await before.close()
    own_server.stop()
    own_server.start()
    after = Connection(own_server.url)
    gateway = Gateway(PoolStore(after, keys))
    gateway.number = 1
    await Sweeper(after, keys, SETTINGS).sweep()
    with pytest.raises(Resync):
        await gateway.send(heard("a"))
    await after.close()
