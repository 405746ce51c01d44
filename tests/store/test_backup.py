"""The promises of rpn.store.backup: all of a pool comes back, on any server, or nothing has changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rpn.errors import BackupFailed, StoreFormatError, StoreUnavailable
from rpn.store import archive
from rpn.store.backup import PASSING, restore, save
from rpn.store.connection import Connection
from rpn.store.format import FORMAT
from rpn.store.keys import Keys
from rpn.store.pool import PoolStore
from rpn.store.tasks import TaskLimits, Tasks
from tests.store.batches import Gateway, report
from tests.store.deciding import answer, delivering, holding, lead, task

State = dict[bytes, Any]


async def everything(connection: Connection, keys: Keys) -> State:
    """All that a backup is to bring back, by key; a deadline only as there or not."""
    found: State = {}
    for key in await connection.command("KEYS", keys.prefix + "*"):
        if key.decode().removeprefix(keys.prefix).startswith(PASSING):
            continue
        kind = await connection.command("TYPE", key)
        read = {"hash": ("HGETALL",), "zset": ("ZRANGE", 0, -1, "WITHSCORES"), "stream": ("XRANGE", "-", "+")}
        name, *rest = read.get(kind.decode(), ("GET",))
        passing = await connection.command("PTTL", key) > 0
        found[key] = passing, await connection.command(name, key, *rest)
    return found


@pytest.fixture
async def filled(connection: Connection, keys: Keys, pool: PoolStore, gateway: Gateway) -> State:
    """A pool with something of everything."""
    await connection.command("HSET", keys.meta, "format", FORMAT)
    await gateway.join("a", "b")
    await gateway.send(report("a"))
    tasks = Tasks(connection, keys)
    for number in range(3):
        await answer(connection, tasks.submit(task(f"t:{number}", data="x" * 10), TaskLimits(10, 10)))
    await answer(connection, tasks.cancel("a", "unknown", mark_ms=60_000))
    commits = await lead(connection, keys)
    await commits.send([holding("x", "y"), delivering()])
    await connection.command("ZADD", keys.due, 12345, "task:a:t")
    await connection.command("DEL", keys.lease)
    return await everything(connection, keys)


async def empty(connection: Connection, keys: Keys) -> None:
    for key in await connection.command("KEYS", keys.prefix + "*"):
        await connection.command("DEL", key)


@pytest.fixture
async def saved(connection: Connection, keys: Keys, pool_name: str, filled: State, tmp_path: Path) -> Path:
    assert f"{len(filled)} keys" in await save(connection, pool_name, tmp_path / "pool")
    return tmp_path / "pool"


async def test_everything_comes_back(
    connection: Connection, keys: Keys, pool_name: str, filled: State, saved: Path
) -> None:
    await empty(connection, keys)
    await restore(connection, pool_name, saved, force=False)
    assert await everything(connection, keys) == filled


async def test_a_forced_restore_leaves_nothing_of_what_was_there(
    connection: Connection, keys: Keys, pool_name: str, filled: State, saved: Path, gateway: Gateway
) -> None:
    await gateway.join("later")
    await connection.command("SET", keys.request("later"), "1", "PX", 60_000)
    await restore(connection, pool_name, saved, force=True)
    assert await everything(connection, keys) == filled
    assert not await connection.command("EXISTS", keys.request("later"))


async def test_a_running_pool_is_not_replaced_unless_forced(
    connection: Connection, keys: Keys, pool_name: str, filled: State, saved: Path
) -> None:
    with pytest.raises(BackupFailed, match="is running"):
        await restore(connection, pool_name, saved, force=False)
    await connection.command("DEL", keys.gateways)
    with pytest.raises(BackupFailed, match="not empty"):
        await restore(connection, pool_name, saved, force=False)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other(path: Path) -> None:
    path.write_bytes(b"hello")


def newer(path: Path) -> None:
    archive.write(path, archive.read(path)._replace(format=str(FORMAT + 1)))


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [cut, changed, other, newer, gone])
async def test_a_file_that_is_not_whole_or_not_ours_changes_nothing(
    connection: Connection,
    keys: Keys,
    pool_name: str,
    filled: State,
    saved: Path,
    harm: Callable[[Path], None],
) -> None:
    harm(saved)
    with pytest.raises((BackupFailed, StoreFormatError)):
        await restore(connection, pool_name, saved, force=True)
    assert await everything(connection, keys) == filled


async def test_a_restore_that_breaks_off_leaves_the_pool_alone_and_only_what_vanishes(
    connection: Connection,
    keys: Keys,
    pool_name: str,
    filled: State,
    saved: Path,
    full_memory: Callable[[], Awaitable[Any]],
) -> None:
    await full_memory()
    with pytest.raises(StoreUnavailable):
        await restore(connection, pool_name, saved, force=True)
    assert await everything(connection, keys) == filled


async def test_only_its_owner_may_read_a_backup(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    assert list(saved.parent.iterdir()) == [saved]


async def test_a_pool_that_is_not_there_is_not_saved(
    connection: Connection, pool_name: str, tmp_path: Path
) -> None:
    with pytest.raises(BackupFailed, match="no pool"):
        await save(connection, pool_name, tmp_path / "pool")
