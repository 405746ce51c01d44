"""Tasks by REST: submitted, shown, waited for and cancelled, with a real gateway, scheduler and store."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from rpn.store.embedded import EmbeddedServer
from tests.support.amnesty import end_amnesty
from tests.support.gateways import Talker, gateways
from tests.support.make import update
from tests.support.scheduler import scheduling

_names = (f"rest-tasks-{number}" for number in itertools.count(1))
ECHO = {"type": "compute", "requirements": {"cpu": 100}, "data": {"command": "echo", "input": "hello"}}
DONE = {"success": True, "result": "hello"}


class Site:
    """One pool: its REST side, and clients of its gateway."""

    def __init__(self, url: str, talk: Any) -> None:
        self.http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)
        self.talk = talk

    async def submit(self, *, status: int = 202, **task: Any) -> dict[str, Any]:
        return self.body(await self.http.post("/api/tasks", json={**ECHO, **task}), status)

    async def show(self, task_id: str, *, status: int = 200, **query: Any) -> dict[str, Any]:
        return self.body(await self.http.get(f"/api/tasks/{task_id}", params=query), status)

    async def shown(self, **query: Any) -> list[str]:
        """The ids in a list."""
        body = self.body(await self.http.get("/api/tasks", params=query), 200)
        return [each["taskId"] for each in body["tasks"]]

    async def cancel(self, task_id: str, *, status: int = 202, **query: Any) -> dict[str, Any]:
        return self.body(await self.http.delete(f"/api/tasks/{task_id}", params=query), status)

    async def agent(self, device_id: str = "agent", **more: Any) -> Talker:
        agent: Talker = await self.talk(0, device_id, accepts=["tasks"], running=[], **more)
        report = {"resources": httpx_json(update(device_id).resources)}
        await agent.say("resource_update", **report)
        return agent

    @staticmethod
    def body(response: httpx.Response, status: int) -> dict[str, Any]:
        assert response.status_code == status, response.text
        found: dict[str, Any] = response.json()
        return found


def httpx_json(value: Any) -> Any:
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(value))


async def assigned(agent: Talker, task_id: str) -> dict[str, Any]:
    return await agent.expect("task_assign", lambda m: m["taskId"] == task_id)


async def finish(agent: Talker, task_id: str, result: Any = DONE) -> None:
    attempt = (await assigned(agent, task_id))["attempt"]
    await agent.say("task_started", taskId=task_id, attempt=attempt)
    await agent.say("task_done", taskId=task_id, attempt=attempt, result=result)


@pytest.fixture
async def site(valkey: EmbeddedServer) -> AsyncIterator[Site]:
    name = next(_names)
    end_amnesty(valkey.url, name)
    async with (
        gateways(valkey.url, name, count=1, rest_rate_limit=0) as pool,
        scheduling(valkey.url, name, cancel_limit_s=0.5),
    ):
        site = Site(pool.gateways[0].url, pool.talk)
        yield site
        await site.http.aclose()


async def test_a_task_is_submitted_run_and_its_result_waited_for(site: Site) -> None:
    agent = await site.agent()
    assert await site.submit(id="t") == {"taskId": "t", "submitterId": "rest", "state": "queued"}
    waiting = asyncio.create_task(site.show("t", wait=20))
    assert (await assigned(agent, "t"))["data"] == ECHO["data"]
    await finish(agent, "t")
    found = await waiting
    assert (found["state"], found["result"], found["attempts"], found["deviceId"]) == (
        *("succeeded", DONE),
        *(1, "agent"),
    )
    assert found["submittedAt"] <= found["assignedAt"] <= found["endedAt"]
    again = await site.submit(id="t", status=200)
    assert (again["state"], again["result"]) == ("succeeded", DONE)


async def test_an_id_is_made_where_none_is_given_and_the_body_may_be_wrapped(site: Site) -> None:
    made = await site.submit()
    wrapped = site.body(await site.http.post("/api/tasks", json={"task": {**ECHO, "id": "w"}}), 202)
    assert wrapped["taskId"] == "w"
    assert (await site.show(made["taskId"]))["state"] == "queued"


async def test_other_content_under_the_same_id_is_a_conflict(site: Site) -> None:
    await site.submit(id="t")
    assert (await site.submit(id="t", priority=5, status=409))["code"] == "TASK_CONFLICT"
    assert (await site.submit(id="t"))["state"] == "queued"


async def test_an_id_of_two_submitters_is_ambiguous_unless_one_is_named(site: Site) -> None:
    await site.submit(id="t", submitterId="a")
    assert (await site.show("t"))["submitterId"] == "a"
    await site.submit(id="t", submitterId="b")
    assert (await site.show("t", status=409))["code"] == "AMBIGUOUS_TASK"
    assert (await site.show("t", submitter="b"))["submitterId"] == "b"
    assert (await site.show("t", submitter="c", status=404))["code"] == "NOT_FOUND"


async def test_the_list_is_newest_first_by_pages_and_filtered(site: Site) -> None:
    agent = await site.agent()
    for task_id in ("t1", "t2", "t3"):
        await site.submit(id=task_id, submitterId="a" if task_id == "t2" else "b")
    await finish(agent, "t1")
    await site.show("t1", wait=10)
    assert await site.shown() == ["t3", "t2", "t1"]
    assert await site.shown(submitter="b") == ["t3", "t1"]
    assert await site.shown(state="succeeded") == ["t1"]
    first = site.body(await site.http.get("/api/tasks", params={"limit": 2}), 200)
    assert [each["taskId"] for each in first["tasks"]] == ["t3", "t2"]
    assert await site.shown(limit=2, cursor=first["cursor"]) == ["t1"]


async def test_a_cancelled_task_ends_with_its_children(site: Site) -> None:
    await site.submit(id="p")
    await site.submit(id="c", parentId="p")
    await site.submit(id="g", parentId="c")
    assert (await site.cancel("p"))["taskId"] == "p"
    for task_id in ("p", "c", "g"):
        assert (await site.show(task_id, wait=10))["state"] == "cancelled"
    assert (await site.cancel("p", status=200))["state"] == "cancelled"
    await site.submit(id="late", parentId="p")
    assert (await site.show("late", wait=10))["state"] == "cancelled"


async def test_progress_and_the_end_of_the_log_wait_for_whoever_asks(site: Site) -> None:
    agent = await site.agent()
    await site.submit(id="t")
    attempt = (await assigned(agent, "t"))["attempt"]
    for part in ("one\n", "two\n"):
        await agent.say("task_progress", taskId="t", attempt=attempt, progress=0.5, log=part)
    await finish(agent, "t")
    found = await site.show("t", wait=10)
    assert (found["progress"], found["log"]) == (0.5, "one\ntwo\n")


@pytest.mark.parametrize(
    ("path", "code"),
    [("?state=lost", "BAD_MESSAGE"), ("?limit=0", "BAD_MESSAGE"), ("?cursor=x", "BAD_MESSAGE")],
)
async def test_a_bad_question_is_refused(site: Site, path: str, code: str) -> None:
    assert site.body(await site.http.get(f"/api/tasks{path}"), 400)["code"] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "BAD_MESSAGE"),
        (b"[]", "BAD_MESSAGE"),
        (b'{"id":"t"}', "BAD_MESSAGE"),
        (b'{"type":"compute","requirements":{"cpu":-1}}', "BAD_REQUIREMENTS"),
        (b'{"task":{"type":"compute","priority":1000}}', "BAD_MESSAGE"),
    ],
)
async def test_a_bad_task_is_refused(site: Site, body: bytes, code: str) -> None:
    assert site.body(await site.http.post("/api/tasks", content=body), 400)["code"] == code
    assert await site.shown() == []


async def test_a_task_that_waits_says_why_and_how_many_are_before_it(site: Site) -> None:
    agent = await site.agent()
    submitter = await site.talk(0, "sub", accepts=["acks"])
    await site.submit(id="running", requirements={"cpu": 800})
    await assigned(agent, "running")
    await site.submit(id="first", requirements={"cpu": 800})
    await site.submit(id="second", requirements={"cpu": 800})
    why = (await site.show("second"))["reason"]
    assert (why["code"], why["queuePosition"]) == ("INSUFFICIENT", 1)
    task = {**ECHO, "id": "huge", "submitterId": "sub", "requirements": {"cpu": 1_000_000}}
    await submitter.say("task_submit", task=task)
    told = await submitter.expect("task_status", lambda m: "reason" in m)
    assert (told["state"], told["reason"]["code"]) == ("queued", "INFEASIBLE")
    assert told["reason"]["devices"] == sum(told["reason"]["filtered"].values())


async def test_a_quota_and_a_full_queue_are_told_apart(valkey: EmbeddedServer) -> None:
    name = next(_names)
    end_amnesty(valkey.url, name)
    limits = {"open_task_limit": 3, "submitter_task_limit": 2, "rest_rate_limit": 0}
    async with gateways(valkey.url, name, count=1, **limits) as pool:
        site = Site(pool.gateways[0].url, pool.talk)
        for number in range(2):
            await site.submit(id=f"t{number}", submitterId="a")
        assert (await site.submit(submitterId="a", status=429))["code"] == "QUOTA"
        await site.submit(submitterId="b")
        assert (await site.submit(submitterId="c", status=503))["code"] == "QUEUE_FULL"
        await site.http.aclose()
