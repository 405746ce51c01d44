"""A pool with tokens: who gets in, whose device is whose, and what a revoked token is worth."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from rpn.proof import signed_text
from rpn.tokens import TokenKind, make_token
from tests.e2e.conftest import Opened
from tests.support.gateways import Talker
from tests.support.guarded import ADMIN
from tests.support.patience import PATIENCE_S

WRONG = make_token(TokenKind.ADMIN).text


async def test_without_a_token_there_are_health_and_the_page_and_nothing_else(guarded: Any) -> None:
    async with guarded() as pool:
        for path in ("/livez", "/readyz", "/ui/"):
            assert (await pool.ask("GET", path, "")).status_code == 200, path
        for method, path in [
            ("GET", "/"),
            ("GET", "/api/devices"),
            ("GET", "/api/stats"),
            ("GET", "/metrics"),
            ("GET", "/api/tokens"),
            ("POST", "/api/tokens"),
            ("POST", "/api/join"),
            ("PUT", "/api/blobs/" + "0" * 64),
            ("GET", "/nothing"),
        ]:
            answer = await pool.ask(method, path, "")
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED"), path
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_connection_without_a_token_is_no_connection(guarded: Any) -> None:
    async with guarded() as pool:
        with pytest.raises(InvalidStatus) as refused:
            await connect(pool.gateway().url.replace("http", "ws") + "/ws")
        assert refused.value.response.status_code == 401


async def test_a_token_that_nobody_made_is_wrong_and_guessing_ends_soon(guarded: Any) -> None:
    async with guarded() as pool:
        codes = [(await pool.ask("GET", "/api/devices", WRONG)).json()["code"] for _ in range(12)]
        assert codes == ["UNAUTHORIZED"] * 10 + ["RATE_LIMITED"] * 2
        assert (await pool.ask("GET", "/api/devices")).status_code == 200


async def test_a_client_of_the_plain_api_needs_nothing_but_the_header(guarded: Any) -> None:
    async with guarded() as pool:
        token = (await pool.token("device"))["token"]
        talker = await pool.talk(token, "mine")
        await talker.expect("devices")
        await talker.say("heartbeat")
        assert [each["type"] for each in talker.heard] == ["devices"]


async def test_a_device_token_speaks_for_the_device_it_registered_first(guarded: Any) -> None:
    async with guarded(2) as pool:
        token = (await pool.token("device"))["token"]
        await (await pool.talk(token, "mine")).expect("devices")
        async with asyncio.timeout(PATIENCE_S):
            while (await pool.ask("GET", "/api/tokens")).json()["tokens"][-1]["deviceId"] != "mine":
                await asyncio.sleep(0.02)
        other = await pool.talk(token, "another")
        assert (await other.expect("error"))["code"] == "FORBIDDEN"


async def test_nobody_elses_token_speaks_for_a_device(guarded: Any) -> None:
    async with guarded(2) as pool:
        mine = (await pool.token("device", deviceId="mine"))["token"]
        await (await pool.talk(mine, "mine")).expect("devices")
        for kind in ("device", "submitter", "admin"):
            thief = (await pool.token(kind))["token"]
            for gateway in (0, 1):
                hijacker = await pool.talk(thief, "mine", gateway)
                assert (await hijacker.expect("error"))["code"] == "FORBIDDEN", kind


async def test_a_client_is_not_taken_over_by_another_submitter(guarded: Any) -> None:
    async with guarded() as pool:
        first, second = [(await pool.token("submitter"))["token"] for _ in range(2)]
        await (await pool.talk(first, "notebook")).expect("devices")
        hijacker = await pool.talk(second, "notebook")
        assert (await hijacker.expect("error"))["code"] == "FORBIDDEN"


async def test_a_join_token_makes_one_device_and_is_spent(guarded: Any) -> None:
    async with guarded(2) as pool:
        join = (await pool.token("join", labels={"zone": "lab"}))["token"]
        made = await pool.ask("POST", "/api/join", join, deviceId="mine")
        assert made.status_code == 201
        assert (await pool.ask("POST", "/api/join", join, 1, deviceId="other")).status_code == 401
        assert made.json()["labels"] == {"zone": "lab"}
        talker = await pool.talk(made.json()["token"], "mine")
        await talker.expect("devices")


async def test_of_many_who_join_at_once_only_as_many_do_as_the_token_allows(guarded: Any) -> None:
    async with guarded(2) as pool:
        join = (await pool.token("join", uses=3))["token"]
        joining = [
            pool.ask("POST", "/api/join", join, number % 2, deviceId=f"d{number}") for number in range(8)
        ]
        codes = [answer.status_code for answer in await asyncio.gather(*joining)]
        assert sorted(codes) == [201] * 3 + [401] * 5
        listed = (await pool.ask("GET", "/api/tokens")).json()["tokens"]
        assert sum(each["kind"] == "device" for each in listed) == codes.count(201)


async def test_a_device_with_a_key_proves_that_it_holds_it(guarded: Any) -> None:
    async with guarded() as pool:
        key = Ed25519PrivateKey.generate()
        public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
        join = (await pool.token("join"))["token"]
        token = (await pool.ask("POST", "/api/join", join, deviceId="mine", publicKey=public)).json()["token"]

        def proof(talker: Talker) -> str:
            response = talker.connection.response
            assert response is not None
            nonce = response.headers["X-RPN-Nonce"]
            return base64.b64encode(key.sign(signed_text(nonce, "mine"))).decode()

        owner, thief, replayer = [await pool.talk(token) for _ in range(3)]
        owner.device_id = thief.device_id = replayer.device_id = "mine"
        await thief.register()
        assert (await thief.expect("error"))["code"] == "FORBIDDEN"
        await owner.register(proof=proof(owner))
        await owner.expect("devices")
        await replayer.register(proof=proof(owner))
        assert (await replayer.expect("error"))["code"] == "FORBIDDEN"


async def test_a_revoked_token_closes_its_sockets_on_every_gateway(guarded: Any) -> None:
    async with guarded(3) as pool:
        made = await pool.token("submitter")
        kept = await pool.talk((await pool.token("submitter"))["token"], "kept")
        talkers = [await pool.talk(made["token"], f"c{gateway}", gateway) for gateway in (0, 1, 2)]
        for talker in talkers:
            await talker.expect("devices")
        assert (await pool.ask("DELETE", f"/api/tokens/{made['id']}")).status_code == 200
        for talker in talkers:
            assert await talker.closed() == (1008, "revoked")
        assert (await pool.ask("GET", "/api/devices", made["token"], 1)).status_code == 401
        await kept.say("heartbeat")
        assert kept.connection.close_code is None


async def test_a_token_ends_when_its_time_is_over(guarded: Any) -> None:
    async with guarded() as pool:
        made = await pool.token("observer", expiresInS=0.5)
        talker = await pool.talk(made["token"])
        await talker.connection.send('{"type":"observe"}')
        await talker.expect("devices")
        assert await talker.closed() == (1008, "revoked")
        assert (await pool.ask("GET", "/api/devices", made["token"])).status_code == 401


async def test_a_browser_shows_a_ticket_once(guarded: Any) -> None:
    async with guarded() as pool:
        observer = (await pool.token("observer"))["token"]
        ticket = (await pool.ask("POST", "/api/tickets", observer)).json()["ticket"]
        url = pool.gateway().url.replace("http", "ws") + "/ws"
        async with connect(url, subprotocols=[Subprotocol("rpn"), Subprotocol(ticket)]) as socket:
            assert socket.subprotocol == "rpn"
            await socket.send('{"type":"observe"}')
            assert json.loads(await socket.recv())["type"] == "devices"
        with pytest.raises(InvalidStatus):
            await connect(url, subprotocols=[Subprotocol("rpn"), Subprotocol(ticket)])


async def test_a_ticket_for_no_time_at_all_is_refused(guarded: Any) -> None:
    async with guarded() as pool:
        answer = await pool.ask("POST", "/api/tickets", lastsS=5e-324)
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE")


async def test_an_observer_sees_no_addresses(guarded: Any) -> None:
    async with guarded() as pool:
        device, observer = [(await pool.token(kind))["token"] for kind in ("device", "observer")]
        watcher = await pool.talk(observer)
        await watcher.connection.send('{"type":"observe"}')
        await watcher.expect("devices")
        insider = await pool.talk(device, "mine")
        listed = await insider.expect("devices", lambda m: bool(m["devices"]))
        assert listed["devices"][0]["ipAddress"] == "127.0.0.1"
        assert (await watcher.expect("device_joined"))["device"]["ipAddress"] == ""
        told = (await pool.ask("GET", "/api/devices", observer)).json()["devices"]
        assert [each["ipAddress"] for each in told] == [""]


async def test_no_route_answers_without_a_token_but_those_that_are_named(guarded: Any) -> None:
    async with guarded() as pool:
        routes = [
            (method, route.path)
            for route in pool.gateway().routes()
            for method in sorted(getattr(route, "methods", None) or {"GET"})
        ]
        assert len(routes) > 20
        for method, path in routes:
            concrete = re.sub(r"\{[^}]*\}", "x", path)
            answer = await pool.ask(method, concrete, "")
            public = method != "POST" and (concrete in ("/livez", "/readyz") or concrete.startswith("/ui"))
            assert (answer.status_code == 401) != public, (method, path, answer.status_code)


async def test_what_is_done_about_access_is_written_down(guarded: Any) -> None:
    async with guarded() as pool:
        made = await pool.token("submitter", name="ci")
        await pool.ask("DELETE", f"/api/tokens/{made['id']}")
        await pool.ask("GET", "/api/devices", made["token"])
        deeds = (await pool.ask("GET", "/api/audit")).json()["deeds"]
        told = {(each["what"], each["outcome"]) for each in deeds}
        assert (f"create submitter token {made['id']}", "done") in told
        assert (f"revoke submitter token {made['id']}", "done") in told
        assert ("/api/devices", "UNAUTHORIZED") in told
        assert all(made["token"] not in json.dumps(each) for each in deeds)


async def test_what_a_good_token_is_refused_is_written_down_at_every_door(guarded: Any) -> None:
    async with guarded() as pool:
        await pool.token("device", deviceId="mine")
        observer = await pool.token("observer")
        await pool.ask("GET", "/api/tokens", observer["token"])
        asked = {"type": "compute", "requirements": {"cpu": 1}, "data": {}, "submitterId": "mine"}
        await pool.ask("POST", "/api/tasks", **asked)
        watcher = await pool.talk(observer["token"])
        await watcher.connection.send('{"type":"observe"}')
        await watcher.expect("devices")
        await watcher.say("resource_request", deviceId="me", requirements={"cpu": 1})
        assert (await watcher.expect("error"))["code"] == "FORBIDDEN"
        deeds = (await pool.ask("GET", "/api/audit")).json()["deeds"]
        refused = [each for each in deeds if each["outcome"] == "FORBIDDEN"]
        told = {f"{each['who'].split()[0]} {each['what']}" for each in refused}
        assert told == {"observer /api/tokens", "admin /api/tasks", "observer resource_request"}
        assert {each["address"] for each in refused} == {"127.0.0.1"}


async def test_a_ticket_buys_no_other_ticket(guarded: Any) -> None:
    async with guarded() as pool:
        ticket = (await pool.ask("POST", "/api/tickets")).json()["ticket"]
        answer = await pool.ask("POST", "/api/tickets", ticket, lastsS=600)
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("name", ["\x00", "a\nb", "x\u202ey", "n" * 129])
async def test_a_token_has_a_name_that_can_be_printed(guarded: Any, name: str) -> None:
    async with guarded() as pool:
        answer = await pool.ask("POST", "/api/tokens", kind="observer", name=name)
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE")


async def test_an_open_pool_knows_no_tokens(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        answer = await pool.gateways[0].get("/api/tokens")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


async def test_a_token_with_a_quota_takes_no_more_and_others_do_not_notice(guarded: Any) -> None:
    async with guarded() as pool:
        quota = {"messagesPerS": 5, "connections": 1}
        token = (await pool.token("submitter", quota=quota))["token"]
        talker, other = await pool.talk(token, "greedy"), await pool.talk(ADMIN, "other")
        await talker.expect("devices")
        with pytest.raises(InvalidStatus) as refused:
            await pool.talk(token, "second")
        assert refused.value.response.status_code == 429
        for each in (talker, other):
            for number in range(20):
                await each.say("ping", requestId=str(number))
            await each.expect("pong" if each is other else "error")
        assert (await talker.expect("error"))["code"] == "RATE_LIMITED"
        await other.expect("pong", lambda pong: pong["requestId"] == "19")
        await talker.close()
        async with asyncio.timeout(PATIENCE_S):  # until its end has been seen
            while True:
                try:
                    await pool.talk(token, "greedy")
                    break
                except InvalidStatus:
                    await asyncio.sleep(0.02)
