"""The documents of a running gateway: who gets them, and that what it says and hears is in them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from rpn.store.embedded import EmbeddedServer
from tests.e2e.conftest import Locked, Opened
from tests.support.amnesty import end_amnesty
from tests.support.contract import Contract
from tests.support.gateways import Pool, Talker, gateways
from tests.support.scheduler import scheduling
from tests.unit.test_messages import REQUIREMENTS, RESOURCES

PATHS = ("/openapi.json", "/asyncapi.json")

_names = (f"documents-{number}" for number in itertools.count(1))


@pytest.mark.parametrize("path", PATHS)
async def test_a_document_is_sent_once_to_who_keeps_it(pool_of: Opened, path: str) -> None:
    async with pool_of(1) as pool:
        first = await pool.gateways[0].get(path)
        assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
        again = await pool.gateways[0].http.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_where_tokens_are_asked_for_the_documents_need_one(guarded: Locked) -> None:
    async with guarded() as pool:
        observer, metrics = [(await pool.token(kind))["token"] for kind in ("observer", "metrics")]
        for path in PATHS:
            codes = [(await pool.ask("GET", path, token)).status_code for token in ("", metrics, observer)]
            assert codes == [401, 403, 200]
        described = (await pool.ask("GET", "/openapi.json", observer)).json()
        assert "post" in described["paths"]["/api/tokens"]


async def test_of_a_path_all_methods_are_allowed_that_any_of_its_routes_has(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        http = pool.gateways[0].http
        for method, path, allowed in [
            ("PATCH", "/api/allocations", "GET, HEAD, POST"),
            ("OPTIONS", "/api/tasks/a/b", "DELETE, GET, HEAD"),
            ("GET", "/ui/qr.svg", "POST"),
            ("DELETE", "/ui/js/app.js", "GET, HEAD"),
            ("TRACE", "/", "GET, HEAD"),
        ]:
            answer = await http.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path
            assert answer.json()["code"] == "METHOD_NOT_ALLOWED"
        assert (await http.get("/ui/nothing.js")).status_code == 404


async def test_all_that_is_said_and_heard_in_a_session_is_described(
    valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []
    say = Talker.say

    async def noted(self: Talker, kind: str, **fields: Any) -> None:
        said.append({"type": kind, "deviceId": self.device_id, **fields})
        await say(self, kind, **fields)

    monkeypatch.setattr(Talker, "say", noted)
    name = next(_names)
    end_amnesty(valkey.url, name)
    async with gateways(valkey.url, name, count=1) as pool, scheduling(valkey.url, name):
        contract = Contract((await pool.gateways[0].get("/asyncapi.json")).json())
        heard = await session(pool)
    for message in said:
        contract.check_said(message)
    for message in heard:
        contract.check_heard(message)
    kinds = {message["type"] for message in heard}
    assert kinds >= contract.heard.keys() - {"task_cancel", "server_draining"}


async def session(pool: Pool) -> list[dict[str, Any]]:
    """A plain client, one that opted in, an agent and an observer; all that they heard."""
    observer = await pool.talk()
    await observer.say("observe", accepts=["events"])
    agent = await pool.talk(0, "agent", accepts=["tasks"], running=[])
    await agent.say("resource_update", resources=RESOURCES)
    plain = await pool.talk(0, "plain")
    client = await pool.talk(0, "client", accepts=["acks", "events"])
    for talker in (plain, client):
        await allocate_and_submit(talker)
        await work(agent, talker.device_id)
        await talker.expect("task_result")
    held = (await client.expect("resource_allocation"))["allocation"]["id"]
    await client.say("allocation_renew", allocationId=held, ttl=60)
    await client.say("resource_release", allocationId=held)
    await client.expect("allocation_update", lambda each: each["change"] == "released")
    await client.say("ack", ids=[held, "t"])
    await client.say("ping", requestId="1")
    await client.expect("pong")
    await client.expect("task_status", lambda each: each["state"] == "running")
    await client.expect("task_progress")
    await plain.say("task_cancel", taskId="none")
    await plain.say("resource_release", allocationId="none")
    await plain.expect("error")
    await client.close()
    await observer.expect("device_left")
    return [message for talker in (observer, agent, plain, client) for message in talker.heard]


async def allocate_and_submit(talker: Talker) -> None:
    """One request, one task."""
    await talker.say("heartbeat")
    await talker.say("resource_request", requirements={**REQUIREMENTS, "gpu": False})
    task = {"id": "t", "type": "compute", "submitterId": talker.device_id, "data": {"command": "echo"}}
    await talker.say("task_submit", task=task)


async def work(agent: Talker, submitter: str) -> None:
    """Do what the agent is assigned for this submitter."""
    assigned = await agent.expect("task_assign", lambda each: each["submitterId"] == submitter)
    attempt = {"taskId": assigned["taskId"], "attempt": assigned["attempt"]}
    await agent.say("task_started", **attempt)
    await agent.say("task_progress", **attempt, progress=0.5, log="half\n")
    await agent.say("task_done", **attempt, result={"success": True, "result": "done"})
    await agent.expect("ack", lambda each: assigned["attempt"] in each["ids"])
