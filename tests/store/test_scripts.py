"""The promises of rpn.store.scripts and steps: run by digest, sent where unknown, tried until known."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from rpn.errors import QueueFull, StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.scripts import Script, source
from rpn.store.steps import Step, run_steps
from tests.store.conftest import Forgetful

NAMES = sorted(
    each.name.removesuffix(".lua")
    for each in files("rpn.store").joinpath("lua").iterdir()
    if each.name.endswith(".lua")
)


@pytest.mark.parametrize("name", NAMES)
async def test_the_server_takes_every_script(connection: Connection, name: str) -> None:
    digest = await connection.command("SCRIPT", "LOAD", source(name))
    assert Script(connection, name).words([], [])[1] == digest.decode()


@pytest.fixture
def count(connection: Connection, keys: Keys) -> Step[int]:
    """Counts how often it is run."""
    return Step(Script(connection, "rate_limit"), [keys.rate("x")], [60_000], lambda reply: int(reply[0]))


async def test_a_script_the_server_forgot_is_sent_again_and_run_once(
    connection: Connection, count: Step[int]
) -> None:
    for expected in (1, 2):
        await connection.command("SCRIPT", "FLUSH")
        assert (await count.script.run(count.keys, count.args))[0] == expected


async def test_steps_are_answered_in_order_also_where_the_server_forgot_the_script(
    connection: Connection, count: Step[int]
) -> None:
    await connection.command("SCRIPT", "FLUSH")
    assert await run_steps(connection, [count] * 3) == [1, 2, 3]
    assert await run_steps(connection, [count] * 3) == [4, 5, 6]


def refusing(reply: Any) -> int:
    raise QueueFull("full")


async def test_an_error_in_an_answer_is_the_answer(connection: Connection, count: Step[int]) -> None:
    refused, counted = await run_steps(connection, [count._replace(decode=refusing), count])
    assert isinstance(refused, QueueFull)
    assert counted == 2


async def test_no_steps_have_no_answers(connection: Connection) -> None:
    assert await run_steps(connection, []) == []


@pytest.mark.parametrize("word", ["LOAD", "FLUSH"], ids=["known", "forgotten"])
async def test_a_lost_reply_is_asked_for_again(forgetful: Forgetful, keys: Keys, word: str) -> None:
    """Whether the server has the script already or must be told it."""
    await forgetful.command("SCRIPT", word, *([source("rate_limit")] if word == "LOAD" else []))
    forgetful.lost_next = 2
    count = Script(forgetful, "rate_limit")
    assert (await count.run_until_known([keys.rate("x")], [60_000]))[0] == 3


async def test_asking_again_ends_at_its_limit(forgetful: Forgetful, keys: Keys) -> None:
    forgetful.lost_next = 1000
    with pytest.raises(StoreUnavailable):
        await Script(forgetful, "rate_limit").run_until_known([keys.rate("x")], [60_000], limit_s=0.05)
