"""The promises of rpn.store.intake: all in order, nothing changed by reading, on from where it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from rpn.codec import pack_record
from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.intake import Intake, Unreadable
from rpn.store.keys import Keys
from rpn.store.records import CancelEntry, Entry, ReconcileEntry, SubmitEntry
from tests.store.deciding import request

LONG_MS = 10_000


@pytest.fixture
async def intake(connection: Connection, keys: Keys) -> AsyncIterator[Intake]:
    intake = Intake(connection, keys)
    yield intake
    await intake.close()


async def add(connection: Connection, stream: str, *entries: Entry) -> None:
    for entry in entries:
        await connection.command("XADD", stream, "*", "e", pack_record(entry))


async def test_nothing_comes_of_nothing(intake: Intake) -> None:
    assert await intake.read(block_ms=1, count=10) == ([], [], [])


async def test_what_was_added_is_read_once_in_order(
    connection: Connection, keys: Keys, intake: Intake
) -> None:
    entries = [SubmitEntry("a", "t"), CancelEntry("a", "t"), ReconcileEntry("b", "s1", [("t", "t#1")])]
    await add(connection, keys.tasks, *entries)
    await add(connection, keys.requests, request())
    found = await intake.read(block_ms=1, count=10)
    assert [entry for _, entry in found.tasks] == entries
    assert [entry for _, entry in found.requests] == [request()]
    assert await intake.read(block_ms=1, count=10) == ([], [], [])


async def test_a_large_backlog_comes_in_parts(connection: Connection, keys: Keys, intake: Intake) -> None:
    names = [f"t{number}" for number in range(7)]
    await add(connection, keys.tasks, *(SubmitEntry("a", name) for name in names))
    parts = [(await intake.read(block_ms=1, count=3)).tasks for _ in range(4)]
    assert [len(part) for part in parts] == [3, 3, 1, 0]
    assert [entry for part in parts for _, entry in part] == [SubmitEntry("a", name) for name in names]


async def test_reading_changes_nothing(connection: Connection, keys: Keys, intake: Intake) -> None:
    await add(connection, keys.tasks, SubmitEntry("a", "t"))
    await add(connection, keys.requests, request())
    found = await intake.read(block_ms=1, count=10)
    intake.rewind()
    assert await intake.read(block_ms=1, count=10) == found


async def test_who_waits_is_woken(connection: Connection, keys: Keys, intake: Intake) -> None:
    waiting = asyncio.create_task(intake.read(block_ms=LONG_MS, count=10))
    while b"xread" not in await connection.command("CLIENT", "LIST"):
        pass
    await add(connection, keys.tasks, SubmitEntry("a", "t"))
    assert [entry for _, entry in (await waiting).tasks] == [SubmitEntry("a", "t")]


async def test_a_broken_connection_is_told_and_the_next_read_goes_on(
    connection: Connection, keys: Keys, intake: Intake
) -> None:
    await add(connection, keys.tasks, SubmitEntry("a", "t1"))
    await intake.read(block_ms=1, count=10)
    await connection.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(StoreUnavailable):
        await intake.read(block_ms=LONG_MS, count=10)
    await add(connection, keys.tasks, SubmitEntry("a", "t2"))
    assert [entry for _, entry in (await intake.read(block_ms=1, count=10)).tasks] == [SubmitEntry("a", "t2")]


async def test_a_cancelled_read_loses_nothing(connection: Connection, keys: Keys, intake: Intake) -> None:
    waiting = asyncio.create_task(intake.read(block_ms=LONG_MS, count=10))
    while b"xread" not in await connection.command("CLIENT", "LIST"):
        pass
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await add(connection, keys.tasks, SubmitEntry("a", "t"))
    assert len((await intake.read(block_ms=1, count=10)).tasks) == 1


async def raw(connection: Connection, stream: str, value: object) -> str:
    """An entry as another version, or nobody, would write it; its id."""
    packed = value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
    return str((await connection.command("XADD", stream, "*", "e", packed)).decode())


async def test_what_a_later_version_asks_is_left_to_it_and_told_once(
    connection: Connection, keys: Keys, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        await raw(connection, keys.tasks, ["migrate", number])
    await add(connection, keys.tasks, SubmitEntry("a", "t"))
    found = await intake.read(block_ms=1, count=10)
    assert ([entry for _, entry in found.tasks], found.unreadable) == ([SubmitEntry("a", "t")], [])
    assert [record.message.count("migrate") for record in caplog.records] == [1]
    assert await connection.command("XLEN", keys.tasks) == 4


@pytest.mark.parametrize("value", [b"\xc1", ["submit", "a"], ["submit", 1, 2], [], "submit", {"a": 1}])
async def test_what_nobody_could_read_is_named(
    connection: Connection, keys: Keys, intake: Intake, value: object
) -> None:
    entry_id = await raw(connection, keys.tasks, value)
    assert await intake.read(block_ms=1, count=10) == ([], [], [Unreadable("tasks", entry_id)])
