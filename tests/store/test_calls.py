"""The promises of rpn.store.calls: a call is entered once, and its key remembers the answer."""

from __future__ import annotations

import pytest

from rpn.errors import RequestConflict
from rpn.store.calls import Calls, Entered
from rpn.store.commits import Commits, Decision
from rpn.store.connection import Connection
from rpn.store.intake import Intake
from rpn.store.keys import Keys
from rpn.store.mailbox import Mailbox
from rpn.store.records import Call, HoldersEntry, ReleaseEntry
from tests.store.deciding import answer, lead

CALL = Call("c", "g1")


@pytest.fixture
def calls(connection: Connection, keys: Keys) -> Calls:
    return Calls(connection, keys)


@pytest.fixture
async def commits(connection: Connection, keys: Keys) -> Commits:
    return await lead(connection, keys)


async def test_a_call_is_entered_once_and_other_content_is_refused(
    connection: Connection, keys: Keys, calls: Calls
) -> None:
    step = calls.request("c", b"this", HoldersEntry("a", CALL))
    assert await answer(connection, step) == Entered(False, b"")
    assert await answer(connection, step) == Entered(True, b"")
    other = await answer(connection, calls.request("c", b"that", ReleaseEntry("a", "x")))
    assert isinstance(other, RequestConflict)
    found = await Intake(connection, keys).read(block_ms=1, count=10)
    assert [entry for _, entry in found.requests] == [HoldersEntry("a", CALL)]


async def test_an_answer_is_kept_and_sent_to_the_gateway_without_any_session(
    connection: Connection, keys: Keys, calls: Calls, commits: Commits
) -> None:
    step = calls.request("c", b"", HoldersEntry("a", CALL))
    await answer(connection, step)
    decision = Decision()
    decision.answer(CALL, b'{"is":1}')
    committed = await commits.send([decision])
    assert (committed.skipped, committed.moved) == ([], [])
    assert await calls.answer("c") == b'{"is":1}'
    assert await answer(connection, step) == Entered(True, b'{"is":1}')
    (letter,) = await anext(Mailbox(connection, keys, "g1").letters())
    assert (letter.device_id, letter.session, letter.frame) == ("", "c", b'{"is":1}')


async def test_an_answer_to_a_call_that_was_forgotten_expires_as_well(
    connection: Connection, keys: Keys, commits: Commits
) -> None:
    decision = Decision()
    decision.answer(CALL, b"late")
    await commits.send([decision])
    assert await connection.command("PTTL", keys.call("c")) > 0
