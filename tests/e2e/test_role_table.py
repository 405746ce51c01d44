"""The table of roles, cell by cell, at a real gateway: what it refuses to whom, by REST and by WebSocket."""

from __future__ import annotations

import re
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway.roles import MAY, SAYS, Action, needed
from rpn.messages import (
    Ack,
    AllocationRenew,
    FromClient,
    Observe,
    Register,
    ResourceRelease,
    ResourceRequest,
    ResourceUpdate,
    TaskCancel,
    TaskSubmit,
)
from rpn.tokens import TokenKind
from tests.e2e.conftest import Locked
from tests.support.gateways import Talker
from tests.support.guarded import Guarded
from tests.support.ws import resources

NOTHING = {"cpu": 0}
TASK = {
    "id": "t",
    "type": "compute",
    "submitterId": "me",
    "requirements": NOTHING,
    "data": {"command": "no"},
}
FIELDS: dict[type[FromClient], dict[str, Any]] = {
    Register: {"deviceName": "me", "platform": "linux"},
    ResourceUpdate: {"resources": resources()},
    ResourceRequest: {"requirements": NOTHING},
    ResourceRelease: {"allocationId": "x"},
    AllocationRenew: {"allocationId": "x", "ttl": 60},
    TaskSubmit: {"task": TASK},
    TaskCancel: {"taskId": "t"},
    Ack: {"ids": ["t"]},
}
"""what a message needs beside its type, a device's id and an attempt's name"""
ATTEMPT = {"taskId": "t", "submitterId": "me", "attempt": "1", "result": {"taskId": "t", "success": True}}
GREETINGS = (Register, Observe)


async def routes_refused(pool: Guarded, token: str) -> set[tuple[str, str]]:
    """The routes, by method and path, that a bearer is not let through to."""
    refused = set()
    for method, path in routes(pool):
        answer = await pool.ask(method, path, token)
        assert answer.status_code != 401, (method, path)
        if answer.status_code == 403:
            refused.add((method, path))
    return refused


def routes(pool: Guarded) -> set[tuple[str, str]]:
    """All there are, by method and a path that fits."""
    return {
        (method, re.sub(r"\{[^}]*\}", "x", getattr(route, "path", "")))
        for route in pool.gateway().routes()
        for method in getattr(route, "methods", None) or ()
    }


@pytest.mark.parametrize("kind", MAY)
async def test_rest_refuses_what_the_table_does_not_allow_and_nothing_else(
    guarded: Locked, kind: TokenKind
) -> None:
    async with guarded(rest_rate_limit=0, call_limit_s=0.1) as pool:
        token = (await pool.token(kind))["token"]
        assert await routes_refused(pool, token) == {
            (method, path) for method, path in routes(pool) if needed(method, path) not in (None, *MAY[kind])
        }


@pytest.mark.parametrize("kind", MAY)
async def test_a_connection_refuses_what_the_table_does_not_allow_and_nothing_else(
    guarded: Locked, kind: TokenKind
) -> None:
    async with guarded(rest_rate_limit=0, call_limit_s=0.1) as pool:
        token = (await pool.token(kind))["token"]
        if Action.SEE not in MAY[kind]:
            with pytest.raises(InvalidStatus) as refused:
                await pool.talk(token)
            assert refused.value.response.status_code == 403
            return
        for message in SAYS:
            token = (await pool.token(kind))["token"]  # of a device of its own
            async with await pool.talk(token) as talker:
                talker.device_id = f"says-{_tag(message)}"
                allowed = SAYS[message] in MAY[kind]
                assert await is_refused(talker, message, kind) is not allowed, message.__name__


async def is_refused(talker: Talker, message: type[FromClient], kind: TokenKind) -> bool:
    """Whether the gateway calls this message forbidden; a greeting goes before what is none."""
    if message not in GREETINGS:
        greeting = Register if Action.REGISTER in MAY[kind] else Observe
        await talker.say(_tag(greeting), **FIELDS.get(greeting, {}))
        await talker.expect("devices")
    fields = FIELDS.get(message, {} if message in GREETINGS else ATTEMPT)
    await talker.say(_tag(message), requestId="it", **fields)
    await talker.say("ping", requestId="after")
    await talker.answer_to("after")
    return any(each.get("requestId") == "it" and each.get("code") == "FORBIDDEN" for each in talker.heard)


def _tag(message: type[FromClient]) -> str:
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
