"""What one token may have of the whole pool, asked for at two gateways at once and under several names."""

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
from tests.support.patience import PATIENCE_S
from tests.support.scheduler import scheduling
from tests.support.ws import resources

_names = (f"quotas-{number}" for number in itertools.count(1))
CORE: dict[str, Any] = {"cpu": 100, "memory": 10}
ECHO: dict[str, Any] = {"type": "compute", "requirements": CORE, "data": {"command": "echo", "input": 1}}


@pytest.fixture
async def pool(valkey: EmbeddedServer) -> AsyncIterator[Guarded]:
    """Two gateways and a scheduler; whoever asks pays by token."""
    name = next(_names)
    end_amnesty(valkey.url, name)
    settings = {"auth": "token", "seed_tokens": ADMIN, "rest_rate_limit": 0}
    async with (
        gateways(valkey.url, name, count=2, **settings) as opened,
        scheduling(valkey.url, name),
    ):
        yield Guarded(opened)


async def agent(pool: Guarded) -> Talker:
    """A device of eight cores that runs tasks."""
    token = (await pool.token("device", deviceId="agent"))["token"]
    talker = await pool.talk(token, "agent", accepts=["tasks"], running=[])
    await talker.expect("devices")
    await talker.say("resource_update", resources=resources())
    async with asyncio.timeout(PATIENCE_S):
        while not (await pool.ask("GET", "/api/resources", gateway=1)).json()["pool"]["totalCpuCores"]:
            await asyncio.sleep(0.02)
    return talker


async def test_a_share_is_not_exceeded_by_asking_two_gateways_at_once(pool: Guarded) -> None:
    running = await agent(pool)
    token = (await pool.token("submitter", quota={"sharePercent": 25}))["token"]

    def ask(number: int) -> Any:
        named = {"requirements": CORE, "requester": f"name-{number}"}
        return pool.ask("POST", "/api/allocations", token, number % 2, **named)

    answers = [answer.json() for answer in await asyncio.gather(*map(ask, range(6)))]
    assert sum(answer["allocation"]["fulfilled"] for answer in answers) == 2
    refused = [answer["reason"] for answer in answers if not answer["allocation"]["fulfilled"]]
    assert {reason["code"] for reason in refused} == {"QUOTA"}
    assert all("25 % of the pool" in reason["message"] for reason in refused)
    await pool.ask("POST", "/api/tasks", token, id="mine", **ECHO)
    await pool.ask("POST", "/api/tasks", id="theirs", **ECHO)
    await running.expect("task_assign", lambda task: task["taskId"] == "theirs")
    waits = (await pool.ask("GET", "/api/tasks/mine", token)).json()
    assert (waits["state"], waits["reason"]["code"]) == ("queued", "QUOTA")
    held = next(answer["allocation"]["id"] for answer in answers if answer["allocation"]["fulfilled"])
    await pool.ask("DELETE", f"/api/allocations/{held}", token)
    await running.expect("task_assign", lambda task: task["taskId"] == "mine")


async def test_open_tasks_count_by_token_under_all_its_names_and_no_longer_when_they_are_over(
    pool: Guarded,
) -> None:
    token = (await pool.token("submitter", quota={"openTasks": 2}))["token"]

    def submit(number: int) -> Any:
        named = {**ECHO, "id": "t", "submitterId": f"name-{number}"}
        return pool.ask("POST", "/api/tasks", token, number % 2, **named)

    statuses = [answer.status_code for answer in await asyncio.gather(*map(submit, range(6)))]
    assert sorted(statuses) == [202, 202, 429, 429, 429, 429]
    refused = (await submit(9)).json()
    assert (refused["code"], refused["error"]) == ("QUOTA", "this token has 2 open tasks, as many as it may")
    name = f"name-{statuses.index(202)}"
    assert (await pool.ask("DELETE", f"/api/tasks/t?submitter={name}", token)).status_code == 202
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await submit(9)).status_code == 429:
            await asyncio.sleep(0.02)
    assert answer.status_code == 202
