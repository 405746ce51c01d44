"""Once a second: the silent, the slow, and those who could not join."""

from __future__ import annotations

import asyncio

from rpn.errors import StoreUnavailable
from rpn.events import Kind
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import opened, settled


@virtual_time
async def test_silence_is_against_the_rules() -> None:
    async with opened(silence_limit_s=30) as house:
        a, b = await house.device("a"), await house.device("b")
        for _ in range(4):
            await asyncio.sleep(10)
            b.say(make.heartbeat("b"))
        assert a.wire.closed == (1008, "silent")
        assert b.wire.closed is None
        assert "device_left a" in b.wire.heard
        assert (Kind.LEAVE, "a") in house.store.said


@virtual_time
async def test_a_refused_message_is_no_sign_of_life_of_its_device() -> None:
    async with opened(silence_limit_s=5) as house:
        a = await house.device("a")
        for _ in range(8):
            await asyncio.sleep(1)
            a.say(make.heartbeat("b"))
        assert a.wire.closed == (1008, "silent")


@virtual_time
async def test_an_observer_may_be_silent() -> None:
    async with opened(silence_limit_s=5) as house:
        observer = await house.observer()
        await asyncio.sleep(60)
        assert observer.wire.closed is None


@virtual_time
async def test_one_who_neither_registers_nor_observes_is_not_kept() -> None:
    async with opened(register_limit_s=10) as house:
        stranger = await house.connect()
        await asyncio.sleep(9.9)
        assert stranger.wire.closed is None
        await asyncio.sleep(0.2)
        assert stranger.wire.closed == (1008, "unregistered")


@virtual_time
async def test_one_whose_join_cannot_be_written_learns_why_and_is_closed() -> None:
    async with opened() as house:
        house.store.broken = StoreUnavailable("gone")
        a = await house.connect()
        a.say(make.register("a"))
        await asyncio.sleep(6)
        assert [message["code"] for message in a.wire.messages] == ["STORE_UNAVAILABLE"]
        assert a.wire.closed == (1011, "the pool's server did not answer in time")
        house.store.broken = None
        again = await house.device("a")
        await settled()
        assert again.wire.types == ["devices"]


@virtual_time
async def test_an_older_connection_speaks_again_when_the_newer_could_not_join() -> None:
    async with opened() as house:
        older = await house.device("a")
        house.store.broken = StoreUnavailable("gone")
        newest = [await house.connect() for _ in range(2)]
        for client in newest:
            client.say(make.register("a"))
        await asyncio.sleep(6)
        assert all(client.wire.closed for client in newest)
        house.store.broken = None
        await asyncio.sleep(1)
        older.say(make.update("a", cpu_usage=5))
        await settled()
        assert older.wire.closed is None
        assert house.replica.devices["a"].resources.cpu_usage == 5


@virtual_time
async def test_one_who_takes_nothing_for_too_long_is_closed_and_lost() -> None:
    async with opened(slow_limit_s=5) as house:
        a, b = await house.device("a"), await house.device("b")
        a.wire.takes, a.wire.buffered = False, a.wire.limit
        b.say(make.update("b"))
        for _ in range(10):
            await asyncio.sleep(1)
            a.say(make.heartbeat("a"))
        assert a.wire.closed == (1008, "slow")
        assert house.store.said[-1] in [(Kind.LOSE, "a"), (Kind.HEARD, "a")]
        assert (Kind.LOSE, "a") in house.store.said
        assert b.wire.closed is None


@virtual_time
async def test_more_than_may_wait_closes_at_once() -> None:
    async with opened() as house:
        a = await house.device("a")
        a.wire.buffered = 3 * 1024 * 1024
        await asyncio.sleep(1.1)
        assert a.wire.closed == (1008, "slow")


@virtual_time
async def test_after_we_stood_still_nobody_is_silent_before_it_could_speak() -> None:
    async with opened(silence_limit_s=5) as house:
        a = await house.device("a")
        loop = asyncio.get_running_loop()
        loop._jump.now_s += 60  # type: ignore[attr-defined]
        await asyncio.sleep(1.5)
        assert a.wire.closed is None
        a.say(make.heartbeat("a"))
        await asyncio.sleep(4)
        assert a.wire.closed is None
        await asyncio.sleep(3)
        assert a.wire.closed == (1008, "silent")
