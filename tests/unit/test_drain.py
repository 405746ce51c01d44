"""Going away politely: everybody is told why, and the store before we end."""

from __future__ import annotations

from typing import cast

from gateway.door import Door
from gateway.drain import FLUSH_LIMIT_S, drain, give_notice
from rpn.errors import StoreUnavailable
from rpn.events import Kind
from rpn.store.pool import PoolStore
from tests.support import make
from tests.support.clock import VirtualLoop, virtual_time
from tests.support.house import House, opened

AGENT = frozenset({"tasks"})


async def drained(house: House) -> Door:
    door = Door(house.endpoint, house.access.gatekeeper, allowed_hosts="", counters=house.counters)
    await drain(door, house.hub, house.uplink, cast("PoolStore", house.store), drain_s=0.2)
    return door


@virtual_time
async def test_everybody_is_closed_and_devices_may_come_back() -> None:
    async with opened() as house:
        clients = [await house.device("a"), await house.observer(), await house.connect()]
        door = await drained(house)
        assert door.draining
        assert {client.wire.closed for client in clients} == {(1001, "draining")}
        assert house.store.said[-1] == (Kind.LOSE, "a")
        assert house.store.forgotten == [house.uplink.gateway]


@virtual_time
async def test_before_that_balancers_have_time_to_see_it_while_all_are_served() -> None:
    async with opened() as house:
        a = await house.device("a")
        door = Door(house.endpoint, house.access.gatekeeper, allowed_hosts="", counters=house.counters)
        started_s = house.hub._loop.time()
        await give_notice(door, 2)
        assert house.hub._loop.time() - started_s >= 2
        assert (door.leaving, door.draining) == (True, False)
        assert a.wire.closed is None


@virtual_time
async def test_who_opted_in_is_told_before_the_close_also_in_the_middle_of_a_round() -> None:
    async with opened() as house:
        plain, agent = await house.device("a"), await house.device("b", accepts=AGENT)
        agent.say(make.update("b"))
        house.hub._quiet_from_s += 1000  # the next round is far away
        await drained(house)
        assert agent.wire.messages[-1] == {"type": "server_draining", "reconnectAfterMs": 250}
        assert "server_draining" not in plain.wire.types


@virtual_time
async def test_a_store_that_is_away_delays_us_only_so_long() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.store.broken = StoreUnavailable("gone")
        loop = house.hub._loop
        assert isinstance(loop, VirtualLoop)
        started_s = loop.time()
        await drained(house)
        assert loop.time() - started_s < FLUSH_LIMIT_S + 0.5
        assert a.wire.closed == (1001, "draining")
