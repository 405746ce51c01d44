"""The promises of rpn.store.format: nothing is written into data that another version understands better."""

from __future__ import annotations

import asyncio

import pytest

from rpn.errors import StoreFormatError
from rpn.settings import SchedulerSettings
from rpn.store import format as format_
from rpn.store.connection import Connection
from rpn.store.format import FORMAT, Format
from rpn.store.keys import Keys
from scheduler.app import Scheduler


async def test_a_new_pool_gets_our_format(connection: Connection, keys: Keys) -> None:
    for _ in range(2):
        await Format(connection, keys).understood()
    assert await connection.command("HGET", keys.meta, "format") == str(FORMAT).encode()


@pytest.mark.parametrize(("found", "advice"), [(FORMAT + 1, "that version or a later"), (0, "empty pool")])
async def test_another_format_is_refused_with_advice(
    connection: Connection, keys: Keys, found: int, advice: str
) -> None:
    await connection.command("HSET", keys.meta, "format", found)
    with pytest.raises(StoreFormatError, match=f"format {found}, .*{advice}"):
        await Format(connection, keys).understood()


async def test_who_cannot_reach_the_store_waits_for_it_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(format_, "RETRY_LIMIT_S", 0.02)
    nowhere = Connection("redis://127.0.0.1:1/0")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await Format(nowhere, Keys("p")).understood()
    await nowhere.close()
    (said,) = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert said.startswith("waiting for the pool's server: ")


async def test_a_scheduler_ends_without_having_written_anything(
    connection: Connection, keys: Keys, pool_name: str
) -> None:
    await connection.command("HSET", keys.meta, "format", FORMAT + 1)
    with pytest.raises(StoreFormatError):
        await Scheduler(connection, SchedulerSettings(pool=pool_name)).run(asyncio.Event())
    assert await connection.command("KEYS", keys.prefix + "*") == [keys.meta.encode()]
    assert await connection.command("HLEN", keys.meta) == 1
