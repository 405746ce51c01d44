"""Who may come in: by Host, by Origin, and not while the gateway drains."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.auditor import Auditor
from gateway.door import Door, answers_for
from gateway.gatekeeper import Gatekeeper
from gateway.metrics import Counters
from rpn.store.tickets import Tickets

OPEN = Gatekeeper(None, cast("Tickets", None), cast("Auditor", None), Counters())
"""of a pool without tokens: it asks nobody"""


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Visit:
    """One request at the door, and what became of it."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.sent: list[Message] = []

    async def knock(self, kind: str, method: str, headers: dict[str, str]) -> tuple[int, str]:
        """(status, code) of the answer."""
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope: dict[str, Any] = {"type": kind, "headers": raw, "path": "/", "extensions": {}}
        if kind == "http":
            scope["method"] = method
        else:
            scope["extensions"] = {"websocket.http.response": {}}

        async def receive() -> Message:
            return {"type": f"{kind}.connect"}

        async def send(message: Message) -> None:
            self.sent.append(message)

        await self._door(scope, receive, send)
        body = self.sent[1]["body"]
        return int(self.sent[0]["status"]), json.loads(body)["code"] if body else ""


@pytest.fixture
def door() -> Door:
    return Door(inside, OPEN, allowed_hosts="pool.example, Lab", counters=Counters())


HOME = "localhost:3000"
IN = (200, "")
ORIGIN, HOST = (403, "ORIGIN"), (400, "HOST")
TABLE = [
    ("http", "GET", {"host": HOME}, IN),
    ("http", "GET", {"host": HOME, "origin": "https://evil.example"}, IN),
    ("http", "HEAD", {"host": HOME, "origin": "https://evil.example"}, IN),
    ("http", "POST", {"host": HOME}, IN),
    ("http", "POST", {"host": HOME, "origin": "http://localhost:3000"}, IN),
    ("http", "POST", {"host": HOME, "origin": "http://localhost:3001"}, ORIGIN),
    ("http", "DELETE", {"host": HOME, "origin": "https://evil.example"}, ORIGIN),
    ("http", "POST", {"host": HOME, "origin": "null"}, ORIGIN),
    ("http", "POST", {"host": HOME, "origin": "http://["}, ORIGIN),
    ("http", "POST", {"host": HOME, "origin": ""}, ORIGIN),
    ("http", "GET", {"host": "evil.example"}, HOST),
    ("http", "GET", {}, HOST),
    ("http", "GET", {"host": "[::1"}, HOST),
    ("http", "GET", {"host": "192.168.1.7:3000"}, IN),
    ("websocket", "", {"host": HOME}, IN),
    ("websocket", "", {"host": HOME, "origin": "http://LOCALHOST:3000"}, IN),
    ("websocket", "", {"host": HOME, "origin": "http://localhost"}, ORIGIN),
    ("websocket", "", {"host": HOME, "origin": "https://evil.example"}, ORIGIN),
    ("websocket", "", {"host": "evil.example", "origin": "http://evil.example"}, HOST),
]


@pytest.mark.parametrize(("kind", "method", "headers", "expected"), TABLE)
async def test_the_door_knows_its_guests(
    door: Door, kind: str, method: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert await Visit(door).knock(kind, method, headers) == expected


async def test_while_we_drain_nobody_new_is_let_in_but_questions_are_answered(door: Door) -> None:
    door.draining = True
    assert await Visit(door).knock("websocket", "", {"host": HOME}) == (503, "DRAINING")
    assert await Visit(door).knock("http", "GET", {"host": HOME}) == IN


async def test_who_was_refused_is_counted() -> None:
    counters = Counters()
    door = Door(inside, OPEN, allowed_hosts="", counters=counters)
    await Visit(door).knock("http", "GET", {"host": "evil.example"})
    assert counters.refused == {"HOST": 1}


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "a.localhost", "127.0.0.1:3000", "[::1]:3000", "pool.example", "lab:9"],
)
def test_addresses_localhost_and_allowed_names_are_ours(host: str) -> None:
    assert answers_for(host, frozenset({"pool.example", "lab"}))


@pytest.mark.parametrize(
    "host", ["", ":3000", "evil.example", "localhost.evil.example", "notlocalhost", "[::1", "1.2.3"]
)
def test_other_names_are_not(host: str) -> None:
    assert not answers_for(host, frozenset({"pool.example"}))


def test_a_star_allows_every_name() -> None:
    assert answers_for("whatever.example", frozenset({"*"}))
