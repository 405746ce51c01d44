"""Two gateways on one store are one pool."""

from __future__ import annotations

import asyncio
from typing import Any

from rpn.store.embedded import EmbeddedServer
from tests.e2e.conftest import Opened
from tests.support.gateways import Talker, gateways
from tests.support.patience import PATIENCE_S
from tests.support.ws import resources

COMINGS_AND_GOINGS = ("device_joined", "device_left")


async def heard_by(watching: Talker, speaking: Talker, cpu_usage: float) -> None:
    """Everything before this update has arrived, once it has."""
    await speaking.say("resource_update", resources=resources(cpuUsage=cpu_usage))
    await watching.expect(
        "resource_update",
        lambda m: bool(m["deviceId"] == speaking.device_id and m["resources"]["cpuUsage"] == cpu_usage),
    )


async def test_what_happens_at_one_gateway_is_heard_at_the_other(pool_of: Opened) -> None:
    async with pool_of() as pool:
        a = await pool.talk(0, "a")
        b = await pool.talk(1, "b")
        assert [device["id"] for device in b.heard[0]["devices"]] == ["a", "b"]
        joined = await a.expect("device_joined")
        assert joined["device"]["id"] == "b"
        await a.expect("devices", lambda m: len(m["devices"]) == 2)
        await heard_by(b, a, 12.5)
        await heard_by(a, a, 12.5)
        for gateway in pool.gateways:
            assert (await gateway.get("/api/stats")).json()["resources"]["totalCpuCores"] == 8
        assert a.of(*COMINGS_AND_GOINGS) == ["device_joined b"]
        assert b.of(*COMINGS_AND_GOINGS) == []


async def test_a_newer_connection_elsewhere_supersedes_without_a_word_to_others(pool_of: Opened) -> None:
    async with pool_of() as pool:
        watching = await pool.talk(1, "w")
        older = await pool.talk(0, "a")
        await watching.expect("device_joined")
        newer = await pool.talk(1, "a")
        assert await older.closed() == (1008, "superseded")
        await heard_by(watching, newer, 7)
        assert watching.of(*COMINGS_AND_GOINGS) == ["device_joined a"]
        assert newer.of(*COMINGS_AND_GOINGS) == []


async def test_a_clean_close_leaves_at_once_everywhere(pool_of: Opened) -> None:
    async with pool_of(reconnect_grace_s=60) as pool:
        here, there = await pool.talk(0, "here"), await pool.talk(1, "there")
        leaving = await pool.talk(0, "a")
        await there.expect("device_joined", lambda m: bool(m["device"]["id"] == "a"))
        await leaving.close()
        for watching in (here, there):
            await watching.expect("device_left", lambda m: bool(m["deviceId"] == "a"))
        assert (await pool.gateways[1].get("/")).json()["devices"] == 2


async def test_a_cut_one_leaves_after_the_grace_unless_it_comes_back(pool_of: Opened) -> None:
    async with pool_of(reconnect_grace_s=1) as pool:
        watching = await pool.talk(1, "w")
        back, gone = await pool.talk(0, "back"), await pool.talk(0, "gone")
        await watching.expect("device_joined", lambda m: bool(m["device"]["id"] == "gone"))
        await back.cut()
        await gone.cut()
        again = await pool.talk(1, "back")
        await watching.expect("device_left")
        await heard_by(watching, again, 3)
        assert watching.of("device_left") == ["device_left gone"]
        assert watching.of("device_joined") == ["device_joined back", "device_joined gone"]


async def test_a_gateway_that_drains_sends_its_clients_elsewhere(pool_of: Opened) -> None:
    async with pool_of(reconnect_grace_s=10) as pool:
        watching = await pool.talk(1, "w")
        plain = await pool.talk(0, "plain")
        agent = await pool.talk(0, "agent", accepts=["tasks"])
        await asyncio.wait_for(pool.gateways[0].stop(), PATIENCE_S)
        assert [await each.closed() for each in (plain, agent)] == [(1001, "draining")] * 2
        assert (await agent.expect("server_draining"))["reconnectAfterMs"] > 0
        assert plain.of("server_draining") == []
        again = await pool.talk(1, "plain")
        await heard_by(watching, again, 4)
        assert watching.of("device_left") == []


async def test_the_rest_limit_counts_over_all_gateways(pool_of: Opened) -> None:
    async with pool_of(rest_rate_limit=5) as pool:
        answers = [await pool.gateways[number % 2].get("/api/devices") for number in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        refused = answers[-1]
        assert refused.json()["code"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await pool.gateways[0].get("/livez")).status_code == 200


async def test_an_outage_of_the_store_keeps_everybody_and_is_told(own_valkey: EmbeddedServer) -> None:
    async with gateways(own_valkey.url, "outage", count=2) as pool:
        a, b = await pool.talk(0, "a"), await pool.talk(1, "b")
        await a.expect("device_joined")
        own_valkey.stop()
        await stale(pool.gateways[0], is_stale=True)
        shown = await pool.gateways[0].get("/api/devices")
        assert [device["id"] for device in shown.json()["devices"]] == ["a", "b"]
        await refused(a)
        late = await pool.talk(0)
        late.device_id = "late"
        await late.register()
        assert (await late.expect("error"))["code"] == "STORE_UNAVAILABLE"
        assert (await late.closed())[0] == 1011
        own_valkey.start()
        for gateway in pool.gateways:
            await stale(gateway, is_stale=False)
        await heard_by(b, a, 5)
        late = await pool.talk(1, "late")
        await a.expect("device_joined", lambda m: bool(m["device"]["id"] == "late"))
        assert a.of("device_left") + b.of("device_left") == []


async def stale(gateway: Any, *, is_stale: bool) -> None:
    """Wait until answers say that they may be, or no longer."""
    async with asyncio.timeout(PATIENCE_S):
        while ("x-rpn-stale" in (await gateway.get("/api/stats")).headers) is not is_stale:
            await asyncio.sleep(0.1)


async def refused(talker: Talker) -> None:
    """Of what is asked now, all but the first, which is under way, is certainly not done."""
    for number in range(2):
        await talker.say("resource_request", requirements={"cpu": 1}, requestId=str(number))
        await asyncio.sleep(0.1)
    error = await talker.expect("error")
    assert (error["code"], error["requestId"]) == ("STORE_UNAVAILABLE", "1")
