"""Allocations by REST and by WebSocket, through a gateway and a scheduler as they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer
from scheduler.app import Scheduler
from tests.support.amnesty import end_amnesty
from tests.support.gateways import Pool, RunningGateway, Talker, gateways
from tests.support.patience import PATIENCE_S
from tests.support.ws import resources

NEED = {"cpu": 100, "memory": 512}
PLAIN_KEYS = {"id", "requestingDevice", "timestamp", "requirements", "fulfilled", "allocatedDevices"}


class Site:
    """A gateway's REST side."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._http = httpx.AsyncClient(base_url=gateway.url, trust_env=False, verify=False, timeout=20)

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        answer = await self._http.request(method, path, json=body, headers=headers)
        return answer.status_code, answer.json()

    async def until(self, path: str, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What is there, once it is as wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                _, body = await self.call("GET", path)
                if found(body):
                    return body
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self._http.aclose()


class Scene:
    """One pool: a gateway, a scheduler that a test may stop, clients."""

    def __init__(self, pool: Pool, url: str, name: str) -> None:
        self.pool = pool
        self.site = Site(pool.gateways[0])
        self._url, self._name = url, name
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def schedule(self, **settings: Any) -> None:
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self._schedule(settings))

    async def _schedule(self, settings: dict[str, Any]) -> None:
        connection = Connection(self._url)
        told = SchedulerSettings(redis_url=self._url, pool=self._name, **settings)
        try:
            await Scheduler(connection, told).run(self._stop)
        finally:
            await connection.close()

    async def rest(self) -> None:
        """No scheduler from now on."""
        self._stop.set()
        if self._running is not None:
            await self._running
            self._running = None

    async def device(self, name: str, *, cores: int = 4, **register: Any) -> Talker:
        """Somebody with something to give."""
        talker = await self.pool.talk(0, name, **register)
        has = resources(cpuCores=cores, cpuUsage=0, cpuAvailable=100)
        await talker.say("resource_update", resources=has)
        await talker.expect("resource_update", lambda m: bool(m["deviceId"] == name))
        return talker


@pytest.fixture
async def scene(valkey: EmbeddedServer, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    name = f"a-{abs(hash(request.node.name)) % 10**9}"
    end_amnesty(valkey.url, name)
    async with gateways(valkey.url, name, count=1, rest_rate_limit=0, call_limit_s=2) as pool:
        scene = Scene(pool, valkey.url, name)
        await scene.schedule()
        yield scene
        await scene.site.close()
        await scene.rest()


async def test_a_caller_reserves_looks_renews_and_gives_back(scene: Scene) -> None:
    await scene.device("a")
    status, made = await scene.site.call(
        "POST", "/api/allocations", {"requirements": NEED, "requester": "me"}
    )
    assert status == 201, made
    allocation = made["allocation"]
    assert allocation.keys() == PLAIN_KEYS
    assert (allocation["fulfilled"], allocation["requestingDevice"]) == (True, "me")
    assert [share["deviceId"] for share in allocation["allocatedDevices"]] == ["a"]
    path = f"/api/allocations/{allocation['id']}"
    assert await scene.site.call("GET", path) == (200, made)
    listed = (await scene.site.call("GET", "/api/allocations?requester=me"))[1]
    assert listed == {"allocations": [made], "total": 1}
    assert (await scene.site.call("GET", "/api/allocations?requester=you"))[1]["total"] == 0
    status, renewed = await scene.site.call("POST", path + "/renew", {"ttl": 3000})
    assert (status, renewed["allocation"]) == (200, allocation)
    assert renewed["expiresAt"] > made["expiresAt"]
    status, ended = await scene.site.call("DELETE", path)
    assert (status, ended["allocation"]["allocatedDevices"]) == (200, [])
    for method, where in (("GET", path), ("DELETE", path), ("POST", path + "/renew")):
        status, error = await scene.site.call(method, where)
        assert (status, error["code"]) == (404, "NOT_FOUND")


async def test_what_does_not_fit_is_refused_with_the_reason_and_dry_runs_reserve_nothing(
    scene: Scene,
) -> None:
    await scene.device("a")
    status, refused = await scene.site.call("POST", "/api/allocations", {"requirements": {"cpu": 10**6}})
    assert (status, refused["allocation"]["fulfilled"]) == (200, False)
    reason = refused["reason"]
    assert reason["code"] == "INFEASIBLE"
    assert reason["devices"] == sum(reason.get("filtered", {}).values()) + sum(
        reason.get("exhausted", {}).values()
    )
    path = f"/api/allocations/{refused['allocation']['id']}"
    assert await scene.site.call("GET", path) == (200, refused)
    status, tried = await scene.site.call("POST", "/api/allocations", {"requirements": NEED, "dryRun": True})
    assert (status, tried["dryRun"], tried["allocation"]["fulfilled"]) == (200, True, True)
    path = f"/api/allocations/{tried['allocation']['id']}"
    for method, where in (("DELETE", path), ("POST", path + "/renew")):
        status, error = await scene.site.call(method, where)
        assert (status, error["code"]) == (409, "REQUEST_CONFLICT"), "there is nothing to give back"
    assert (await scene.site.call("GET", "/api/allocations"))[1]["total"] == 0


async def test_the_same_id_again_is_the_same_allocation_and_other_content_a_conflict(scene: Scene) -> None:
    await scene.device("a")
    body = {"requirements": NEED, "id": "mine"}
    first = await scene.site.call("POST", "/api/allocations", body)
    assert first[0] == 201
    assert await scene.site.call("POST", "/api/allocations", body) == first
    named = {"Idempotency-Key": "mine"}
    assert await scene.site.call("POST", "/api/allocations", {"requirements": NEED}, **named) == first
    status, error = await scene.site.call("POST", "/api/allocations", {**body, "ttl": 7})
    assert (status, error["code"]) == (409, "REQUEST_CONFLICT")
    assert (await scene.site.call("GET", "/api/allocations"))[1]["total"] == 1


async def test_without_a_scheduler_nothing_is_left_behind_that_its_caller_does_not_know(scene: Scene) -> None:
    await scene.device("a")
    await scene.rest()
    unnamed, named = {"requirements": NEED}, {"requirements": NEED, "id": "mine"}
    answers = await asyncio.gather(
        scene.site.call("POST", "/api/allocations", unnamed),
        scene.site.call("POST", "/api/allocations", named),
    )
    assert [(status, error["code"]) for status, error in answers] == [(504, "SCHEDULER_TIMEOUT")] * 2
    await scene.schedule()
    status, made = await scene.site.call("POST", "/api/allocations", named)
    assert (status, made["allocation"]["id"]) == (201, "mine")
    listed = await scene.site.until("/api/allocations", lambda body: body["total"] == 1)
    assert listed["allocations"] == [made]


async def test_the_time_of_an_allocation_ends_it(scene: Scene) -> None:
    await scene.device("a")
    asked = {"requirements": NEED, "ttl": 0.2}
    assert (await scene.site.call("POST", "/api/allocations", asked))[0] == 201
    await scene.site.until("/api/allocations", lambda body: body["total"] == 0)
    usage = (await scene.site.call("GET", "/api/usage"))[1]
    (given,) = usage["devices"]
    assert (given["deviceId"], usage["submitters"][0]["submitterId"]) == ("a", "rest")
    assert 0.2 / 3600 <= given["coreHours"] < 5 / 3600
    assert given["memoryHours"] == pytest.approx(given["coreHours"] / 2)
    assert (await scene.site.call("GET", "/api/usage?month=1999-01"))[1]["devices"] == []


async def test_the_pool_and_a_device_tell_what_is_given_away(scene: Scene) -> None:
    await scene.device("a", labels={"zone": "x"}, accepts=["acks"])
    _, made = await scene.site.call("POST", "/api/allocations", {"requirements": NEED})
    pool = (await scene.site.until("/api/pool", lambda b: b["pool"]["allocations"] == 1))["pool"]
    assert pool["allocated"] == {"cpu": 100, "memory": 512, "storage": 0, "gpus": 0}
    assert pool["total"]["cpu"] == 400
    assert pool["free"]["cpu"] == 300
    assert pool["devices"] == {"total": 1, "online": 1, "byPlatform": {"linux": 1}}
    assert pool["tasks"] == {"queued": 0, "running": 0}
    _, device = await scene.site.call("GET", "/api/devices/a")
    assert (device["labels"], device["accepts"]) == ({"zone": "x"}, ["acks"])
    assert device["device"] == (await scene.site.call("GET", "/api/devices"))[1]["devices"][0]
    load = device["load"]
    assert load["allocated"]["cpu"] == 100
    assert [held["allocationId"] for held in load["allocations"]] == [made["allocation"]["id"]]
    status, error = await scene.site.call("GET", "/api/devices/nobody")
    assert (status, error["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"requirements": {}}, "BAD_REQUIREMENTS"),
        ({"requirements": {"cpu": -1}}, "BAD_REQUIREMENTS"),
        ({}, "BAD_MESSAGE"),
        ([], "BAD_MESSAGE"),
        ({"requirements": NEED, "ttl": 0}, "BAD_MESSAGE"),
        ({"requirements": NEED, "ttl": 10**6}, "BAD_MESSAGE"),
        ({"requirements": NEED, "id": "../x"}, "BAD_MESSAGE"),
        ({"requirements": NEED, "requester": "a\u202eb"}, "BAD_MESSAGE"),
        ({"requirements": NEED, "id": "x" * 600_000}, "BAD_MESSAGE"),
    ],
)
async def test_bad_input_is_refused_by_its_code(scene: Scene, body: Any, code: str) -> None:
    status, error = await scene.site.call("POST", "/api/allocations", body)
    assert (status, error["code"]) == (400, code)
    assert error.keys() == {"error", "code"}


async def test_a_plain_client_sees_exactly_the_apis_keys(scene: Scene) -> None:
    plain = await scene.device("a")
    for cpu, fulfilled in ((100, True), (10**6, False)):
        await plain.say("resource_request", requirements={"cpu": cpu})
        answer = await plain.expect(
            "resource_allocation",
            lambda m, cpu=cpu: bool(m["allocation"]["requirements"]["cpu"] == cpu),  # type: ignore[misc]
        )
        assert answer.keys() == {"type", "allocation"}
        assert answer["allocation"].keys() == PLAIN_KEYS
        assert answer["allocation"]["fulfilled"] is fulfilled
        assert answer["allocation"]["requirements"].keys() == {"cpu", "memory", "storage", "gpu"}
    await plain.say("resource_release", allocationId=plain.heard[-1]["allocation"]["id"])
    await plain.expect("error", lambda m: bool(m["code"] == "NOT_FOUND"))
    assert "allocation_update" not in {message["type"] for message in plain.heard}


async def test_a_client_that_opted_in_hears_why_and_what_becomes_of_what_it_holds(scene: Scene) -> None:
    await scene.device("a")
    me = await scene.pool.talk(0, "me", accepts=["acks"])
    await me.say("resource_request", requirements={"cpu": 10**6}, requestId="big")
    refused = await me.expect("resource_allocation", lambda m: bool(m["requestId"] == "big"))
    assert refused["reason"]["code"] == "INFEASIBLE"
    await me.say("resource_request", requirements=NEED, requestId="dry", dryRun=True)
    tried = await me.expect("resource_allocation", lambda m: bool(m["requestId"] == "dry"))
    assert (tried["dryRun"], tried["allocation"]["fulfilled"]) == (True, True)
    await me.say("resource_request", requirements=NEED, requestId="held", ttl=60)
    held = await me.expect("resource_allocation", lambda m: bool(m["requestId"] == "held"))
    allocation_id = held["allocation"]["id"]
    await me.say("allocation_renew", allocationId=allocation_id, ttl=600, requestId="more")
    renewed = await me.expect("allocation_update")
    assert (renewed["change"], renewed["requestId"]) == ("renewed", "more")
    assert renewed["expiresAt"] > held["expiresAt"]
    await me.say("resource_release", allocationId=allocation_id, requestId="done")
    released = await me.expect("allocation_update", lambda m: bool(m["change"] == "released"))
    assert (released["requestId"], released["allocation"]["allocatedDevices"]) == ("done", [])
    await me.say("allocation_renew", allocationId=allocation_id, ttl=1, requestId="late")
    assert (await me.expect("error"))["requestId"] == "late"


async def test_a_lost_share_is_replaced_or_the_holder_hears_that_it_is_not(scene: Scene) -> None:
    first = await scene.device("a", cores=4)
    me = await scene.pool.talk(0, "me", accepts=["acks", "events"])
    await me.say("resource_request", requirements=NEED)
    held = await me.expect("resource_allocation")
    assert [share["deviceId"] for share in held["allocation"]["allocatedDevices"]] == ["a"]
    second = await scene.device("b", cores=8)
    await first.close()
    replaced = await me.expect("allocation_update")
    assert (replaced["change"], replaced["lostDeviceId"]) == ("replaced", "a")
    assert [share["deviceId"] for share in replaced["allocation"]["allocatedDevices"]] == ["b"]
    assert replaced["allocation"]["fulfilled"] is True
    await second.close()
    reduced = await me.expect("allocation_update", lambda m: bool(m["change"] == "reduced"))
    assert (reduced["allocation"]["fulfilled"], reduced["allocation"]["allocatedDevices"]) == (False, [])
    await me.expect("pool_event", lambda m: bool(m["kind"] == "allocation" and m["state"] == "freed"))
    await me.expect("pool_event", lambda m: bool(m["kind"] == "device_left" and m["reason"] == "closed"))
