"""Attempts to get in, or in another's name: refused and counted, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import Awaitable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from rpn.store.embedded import EmbeddedServer
from rpn.tokens import TokenKind, make_token
from tests.e2e.conftest import Locked
from tests.support.amnesty import end_amnesty
from tests.support.gateways import Talker, gateways
from tests.support.guarded import ADMIN, Guarded
from tests.support.patience import PATIENCE_S

GUESSES, AT_ONCE = 10_000, 50
QUIET_S = 5.0


async def metric(pool: Guarded, name: str) -> float:
    text = (await pool.ask("GET", "/metrics")).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))


async def guessed(port: int) -> dict[str, int]:
    """How often each status was the answer to wrong tokens, shown by a process of its own."""
    words = [sys.executable, "-m", "bench.access.guesser", str(port), str(GUESSES), str(AT_ONCE)]
    attacker = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    said, _ = await attacker.communicate()
    found: dict[str, int] = json.loads(said)["statuses"]
    return found


async def pings(talker: Talker, until: asyncio.Event) -> list[float]:
    """How long each answer took, in ms."""
    took: list[float] = []
    while not until.is_set() or len(took) < 10:
        began, number = time.perf_counter(), f"{id(until)}-{len(took)}"
        await talker.say("ping", requestId=number)
        pong = await talker.expect("pong")
        assert pong["requestId"] == number
        took.append((time.perf_counter() - began) * 1000)
        talker.heard.clear()
        await asyncio.sleep(0.01)
    return took


async def median_ms(talker: Talker, while_: Awaitable[Any]) -> float:
    """How long an answer takes in the meantime."""
    done = asyncio.Event()
    taking = asyncio.create_task(pings(talker, done))
    await while_
    done.set()
    return statistics.median(await taking)


async def answer_to(talker: Talker) -> str:
    """The code of what refused its `register`; empty if it was let in."""
    async with asyncio.timeout(PATIENCE_S):
        while not talker.heard:
            await asyncio.sleep(0.01)
    return str(talker.heard[0].get("code", ""))


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_ten_thousand_wrong_tokens_are_refused_and_counted_and_others_go_on(guarded: Locked) -> None:
    async with guarded() as pool:
        talker = await pool.talk(ADMIN)
        await talker.connection.send('{"type":"observe"}')
        await talker.expect("devices")
        before_ms = await median_ms(talker, asyncio.sleep(QUIET_S))
        during_ms = await median_ms(talker, guessing := asyncio.create_task(guessed(pool.gateway().port)))
        after_ms = await median_ms(talker, asyncio.sleep(QUIET_S))
        assert guessing.result() == {"401": 10, "429": GUESSES - 10}
        assert await metric(pool, "rpn_gateway_wrong_tokens_total") == GUESSES
        print(f"median ping in ms: {before_ms:.2f}, then {during_ms:.2f}, then {after_ms:.2f}")
        assert during_ms < 1.25 * max(before_ms, after_ms)


async def test_who_claims_to_be_forwarded_is_still_who_guessed(guarded: Locked) -> None:
    async with guarded() as pool:
        codes = []
        for number in range(12):
            asked = {"Authorization": "Bearer wrong", "X-Forwarded-For": f"10.0.0.{number}"}
            codes.append((await pool.gateway().get("/api/devices", **asked)).status_code)
        assert codes == [401] * 10 + [429] * 2
        deeds = (await pool.ask("GET", "/api/audit")).json()["deeds"]
        assert {deed["address"] for deed in deeds} == {"127.0.0.1"}


async def test_a_right_token_opens_no_door_to_a_foreign_name_or_page(guarded: Locked) -> None:
    async with guarded() as pool:
        bearer = {"Authorization": f"Bearer {ADMIN}"}
        rebound = await pool.gateway().get("/api/devices", Host="evil.example", **bearer)
        assert (rebound.status_code, rebound.json()["code"]) == (400, "HOST")
        url = pool.gateway().url.replace("http", "ws") + "/ws"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=bearer, origin="http://evil.example")  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403


async def test_two_who_hold_one_credential_are_held_off_and_written_down(guarded: Locked) -> None:
    async with guarded() as pool:
        token = (await pool.token("device", deviceId="mine"))["token"]
        codes = []
        for _ in range(9):
            talker = await pool.talk(token, "mine")
            codes.append(await answer_to(talker))
        assert codes[:6] == [""] * 6
        assert codes[-1] == "RATE_LIMITED"
        deeds = (await pool.ask("GET", "/api/audit")).json()["deeds"]
        assert ("supersede mine", "held off") in {(deed["what"], deed["outcome"]) for deed in deeds}


async def test_no_secret_is_in_a_log_a_metric_an_error_or_the_audit(
    guarded: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    ours = ("gateway", "rpn", "uvicorn", "starlette", "asyncio")
    for name in ours:
        caplog.set_level(logging.DEBUG, name)
    async with guarded() as pool:
        made = [await pool.token(kind) for kind in TokenKind]
        secrets = [ADMIN, *(each["token"] for each in made), make_token(TokenKind.ADMIN).text]
        told = []
        for secret in list(secrets):
            asked = await pool.ask("POST", "/api/tickets", secret)
            if asked.status_code == 201:
                secrets.append(asked.json()["ticket"])
            else:
                told.append(asked.text)
            told.append((await pool.ask("GET", "/api/devices", secret)).text)
            told.append((await pool.ask("POST", "/api/join", secret, deviceId="")).text)
        await pool.ask("DELETE", f"/api/tokens/{ADMIN}", "wrong")  # and nobody should put one into an address
        for secret in secrets[1:]:
            told.append((await pool.ask("GET", "/api/stats", secret)).text)
        for path in ("/metrics", "/api/audit", "/api/tokens", "/nothing"):
            told.append((await pool.ask("GET", path)).text)
    told += [record.getMessage() for record in caplog.records if record.name.split(".")[0] in ours]
    assert len(secrets) > 8
    assert not [secret for secret in secrets if any(secret in each for each in told)]


async def test_an_open_pool_that_asks_for_tokens_from_now_on_keeps_devices_and_tasks(
    valkey: EmbeddedServer,
) -> None:
    end_amnesty(valkey.url, "upgrade")
    async with gateways(valkey.url, "upgrade", count=1) as pool:
        await pool.talk(0, "mine")
        submitter = await pool.talk(0, "other", accepts=["acks"])
        needs = {"cpu": 1, "memory": 1, "storage": 0, "gpu": False}
        task = {"id": "kept", "type": "compute", "submitterId": "other", "requirements": needs, "data": {}}
        await submitter.connection.send(json.dumps({"type": "task_submit", "task": task}))
        await submitter.expect("task_status")
        for talker in pool._talkers:
            await talker.cut()
        pool._talkers.clear()
    settings = {"auth": "token", "seed_tokens": ADMIN, "reconnect_grace_s": 30.0}
    async with gateways(valkey.url, "upgrade", count=1, **settings) as guarded_pool:
        pool_now = Guarded(guarded_pool)
        tasks = (await pool_now.ask("GET", "/api/tasks")).json()["tasks"]
        assert [each["taskId"] for each in tasks] == ["kept"]
        devices = (await pool_now.ask("GET", "/api/devices")).json()["devices"]
        assert {each["id"] for each in devices} == {"mine", "other"}
        token = (await pool_now.token("device"))["token"]
        back = await pool_now.talk(token, "mine")
        await back.expect("devices")
        assert (await guarded_pool.gateways[0].get("/api/devices")).status_code == 401
