"""Whose a name is, at every door: nobody asks, cancels or gives back for another token's device."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rpn.store.embedded import EmbeddedServer
from tests.support.amnesty import end_amnesty
from tests.support.gateways import Talker, gateways
from tests.support.guarded import ADMIN, Guarded
from tests.support.scheduler import scheduling
from tests.support.ws import resources

_names = (f"names-{number}" for number in itertools.count(1))
NEVER: dict[str, Any] = {"cpu": 100_000, "memory": 1, "storage": 0, "gpu": False}
TASK: dict[str, Any] = {"type": "compute", "requirements": NEVER, "data": {"command": "echo"}}
CORE = {"cpu": 100}


@pytest.fixture
async def pool(valkey: EmbeddedServer) -> AsyncIterator[Guarded]:
    """Two gateways and a scheduler."""
    name = next(_names)
    end_amnesty(valkey.url, name)
    settings = {"auth": "token", "seed_tokens": ADMIN, "rest_rate_limit": 0}
    async with gateways(valkey.url, name, count=2, **settings) as opened, scheduling(valkey.url, name):
        yield Guarded(opened)


async def victim(pool: Guarded) -> Talker:
    """A device with a token of its own, and with something to reserve; every gateway knows it."""
    token = (await pool.token("device", deviceId="victim"))["token"]
    talker = await pool.talk(token, "victim", accepts=["acks"])
    await talker.expect("devices")
    await talker.say("resource_update", resources=resources())
    async with asyncio.timeout(5):
        while (await pool.ask("GET", "/api/devices/victim", gateway=1)).status_code != 200:
            await asyncio.sleep(0.02)
    return talker


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("gateway", [0, 1])
async def test_nobody_asks_in_the_name_of_anothers_device(pool: Guarded, gateway: int) -> None:
    await victim(pool)
    thief = (await pool.token("submitter"))["token"]
    for token in (thief, ADMIN):
        task = {**TASK, "submitterId": "victim"}
        forged = await pool.ask("POST", "/api/tasks", token, gateway, **task)
        assert refused(forged) == (403, "FORBIDDEN")
        reserved = {"requirements": CORE, "requester": "victim"}
        forged = await pool.ask("POST", "/api/allocations", token, gateway, **reserved)
        assert refused(forged) == (403, "FORBIDDEN")
    assert (await pool.ask("GET", "/api/tasks")).json()["tasks"] == []


async def test_a_device_asks_in_its_own_name_by_rest_too(pool: Guarded) -> None:
    token = (await pool.token("device", deviceId="me"))["token"]
    answer = await pool.ask("POST", "/api/tasks", token, id="t", submitterId="me", **TASK)
    assert answer.status_code == 202
    assert (await pool.ask("DELETE", "/api/tasks/t", token)).status_code == 202


async def test_only_who_submitted_a_task_or_administers_cancels_it(pool: Guarded) -> None:
    mine = await victim(pool)
    task = {**TASK, "id": "t", "submitterId": "victim"}
    await mine.say("task_submit", task=task)
    await mine.expect("task_status")
    thief = (await pool.token("submitter"))["token"]
    assert refused(await pool.ask("DELETE", "/api/tasks/t?submitter=victim", thief, 1)) == (403, "FORBIDDEN")
    assert (await pool.ask("GET", "/api/tasks/t", thief)).json()["state"] == "queued"
    assert (await pool.ask("DELETE", "/api/tasks/t?submitter=victim")).status_code == 202


async def test_who_takes_a_name_that_callers_use_cannot_cancel_what_they_submitted(pool: Guarded) -> None:
    caller, thief = [(await pool.token("submitter"))["token"] for _ in range(2)]
    await pool.ask("POST", "/api/tasks", caller, id="t", submitterId="cli", **TASK)
    squatter = await pool.talk(thief, "cli")
    await squatter.expect("devices")
    await squatter.say("task_cancel", taskId="t", requestId="r")
    assert (await squatter.answer_to("r"))["code"] == "FORBIDDEN"
    assert (await pool.ask("GET", "/api/tasks/t")).json()["state"] == "queued"


async def test_a_device_cancels_what_it_submitted_under_an_earlier_token(pool: Guarded) -> None:
    earlier = await pool.token("device", deviceId="me")
    await pool.ask("POST", "/api/tasks", earlier["token"], id="t", submitterId="me", **TASK)
    await pool.ask("DELETE", f"/api/tokens/{earlier['id']}")
    back = await pool.talk((await pool.token("device", deviceId="me"))["token"], "me")
    await back.expect("devices")
    await back.say("task_cancel", taskId="t")
    answer = await pool.ask("GET", "/api/tasks/t?wait=5")
    assert answer.json()["state"] == "cancelled"


async def test_only_who_reserved_or_administers_gives_back_and_renews(pool: Guarded) -> None:
    await victim(pool)
    holder, thief = [(await pool.token("submitter"))["token"] for _ in range(2)]
    made = await pool.ask("POST", "/api/allocations", holder, requirements=CORE)
    path = f"/api/allocations/{made.json()['allocation']['id']}"
    for gateway in (0, 1):
        assert refused(await pool.ask("DELETE", path, thief, gateway)) == (403, "FORBIDDEN")
        assert refused(await pool.ask("POST", path + "/renew", thief, gateway)) == (403, "FORBIDDEN")
    assert (await pool.ask("POST", path + "/renew", holder, 1)).status_code == 200
    assert (await pool.ask("DELETE", path)).status_code == 200


async def test_what_a_device_holds_is_not_anothers_to_give_back(pool: Guarded) -> None:
    mine = await victim(pool)
    await mine.say("resource_request", requirements={**NEVER, **CORE})
    held = (await mine.expect("resource_allocation"))["allocation"]
    assert held["fulfilled"]
    thief = (await pool.token("submitter"))["token"]
    assert refused(await pool.ask("DELETE", f"/api/allocations/{held['id']}", thief)) == (403, "FORBIDDEN")


async def test_who_joins_takes_no_name_that_another_token_is_using(pool: Guarded) -> None:
    owner = (await pool.token("submitter"))["token"]
    mine = await pool.talk(owner, "notebook")
    await mine.expect("devices")
    join = (await pool.token("join"))["token"]
    for gateway in (0, 1):
        async with asyncio.timeout(5):
            while (await pool.ask("GET", "/api/devices/notebook", gateway=gateway)).status_code != 200:
                await asyncio.sleep(0.02)
        joined = await pool.ask("POST", "/api/join", join, gateway, deviceId="notebook")
        assert refused(joined) == (403, "FORBIDDEN")
    assert (await pool.ask("POST", "/api/join", join, deviceId="free")).status_code == 201
