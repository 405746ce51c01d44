"""The promises of rpn.store.requests: an entry goes in once, from the session that speaks for its device."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.intake import Intake
from rpn.store.keys import Keys
from rpn.store.records import ReleaseEntry, RequestStreamEntry
from rpn.store.requests import MARK_MS, Requests
from rpn.store.steps import run_steps
from tests.store.batches import Gateway
from tests.store.deciding import answer, request


@pytest.fixture
async def requests(connection: Connection, keys: Keys, gateway: Gateway) -> Requests:
    """Of a pool in which `a` speaks from s1 on g1."""
    await gateway.join("a")
    return Requests(connection, keys)


async def entered(connection: Connection, keys: Keys) -> list[RequestStreamEntry]:
    intake = Intake(connection, keys)
    found = await intake.read(block_ms=1, count=100)
    await intake.close()
    return [entry for _, entry in found.requests]


async def test_entries_go_in_as_they_are(connection: Connection, keys: Keys, requests: Requests) -> None:
    entries: list[RequestStreamEntry] = [request("x"), ReleaseEntry("a", "x")]
    for number, entry in enumerate(entries):
        assert await answer(connection, requests.enter(entry, presence="s1 g1", mark=str(number))) is True
    assert await entered(connection, keys) == entries


async def test_the_same_mark_enters_once(connection: Connection, keys: Keys, requests: Requests) -> None:
    enter = requests.enter(request(), presence="s1 g1", mark="m")
    assert [await answer(connection, enter) for _ in range(3)] == [True] * 3
    assert await entered(connection, keys) == [request()]
    assert 0 < await connection.command("PTTL", keys.request("m")) <= MARK_MS


async def test_many_go_in_together_and_each_is_answered(
    connection: Connection, keys: Keys, requests: Requests
) -> None:
    asked = [request(f"x{number}", presence="s0 g1" if number == 1 else "s1 g1") for number in range(100)]
    steps = [requests.enter(each, presence=each.presence, mark=each.allocation_id) for each in asked]
    for _ in range(2):  # as when the first reply was lost
        assert await run_steps(connection, steps) == [number != 1 for number in range(100)]
    assert await entered(connection, keys) == [asked[0], *asked[2:]]


async def test_an_old_session_enters_nothing(
    connection: Connection, keys: Keys, requests: Requests, gateway: Gateway
) -> None:
    await gateway.join("a", session="s2")
    assert await answer(connection, requests.enter(request(), presence="s1 g1", mark="m")) is False
    assert await entered(connection, keys) == []
    assert await connection.command("EXISTS", keys.request("m")) == 0


async def test_full_memory_refuses_and_keeps_nothing(
    connection: Connection, keys: Keys, requests: Requests, full_memory: Callable[[], Awaitable[Any]]
) -> None:
    await full_memory()
    enter = requests.enter(request(), presence="s1 g1", mark="m")
    assert isinstance(await answer(connection, enter), StoreUnavailable)
    assert await entered(connection, keys) == []
