"""What no scheduler can decide on ends one leadership at most, and holds up nothing that comes after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rpn.codec import pack_record
from rpn.model import Requirements
from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer
from rpn.store.keys import Keys
from rpn.store.records import RequestEntry, TaskLife
from rpn.store.steps import run_steps
from rpn.store.tasks import TaskLimits, Tasks
from scheduler.allocations import AllocationEntry, Allocations
from scheduler.app import Scheduler
from scheduler.foreman import Foreman
from tests.support.patience import PATIENCE_S
from tests.support.scheduling import task

KEYS = Keys("default")
NEED = Requirements(cpu=100)


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    with EmbeddedServer(tmp_path) as server:
        connection = Connection(server.url)
        yield connection
        await connection.close()


@pytest.fixture
async def scheduler(connection: Connection) -> AsyncIterator[Scheduler]:
    stop = asyncio.Event()
    scheduler = Scheduler(connection, SchedulerSettings())
    running = asyncio.create_task(scheduler.run(stop))
    yield scheduler
    stop.set()
    await running


async def until_left(connection: Connection, *, requests: int, tasks: int) -> None:
    """Wait until so many entries are left in the streams."""
    async with asyncio.timeout(PATIENCE_S):
        while await connection.commands([("XLEN", KEYS.requests), ("XLEN", KEYS.tasks)]) != [requests, tasks]:
            await asyncio.sleep(0.02)


async def submit(connection: Connection, name: str) -> None:
    await run_steps(connection, [Tasks(connection, KEYS).submit(task(name), TaskLimits(10, 10))])


async def test_undecidable_and_unreadable_entries_go_and_later_ones_stay(
    connection: Connection, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Allocations.take

    def stumbling(self: Allocations, entry_id: str, entry: AllocationEntry, now_ms: int) -> None:
        assert entry.allocation_id not in ("x", "y"), "these cannot be decided on"
        take(self, entry_id, entry, now_ms)

    monkeypatch.setattr(Allocations, "take", stumbling)
    await connection.command("XADD", KEYS.tasks, "*", "e", b"\xc1")
    await connection.command("XADD", KEYS.tasks, "*", "e", b"\x91\xa5later")
    for name in ("x", "good", "y"):
        entry = RequestEntry(name, "a", "s1 g1", NEED)
        await connection.command("XADD", KEYS.requests, "*", "e", pack_record(entry))
    await submit(connection, "t")
    await until_left(connection, requests=0, tasks=1)
    assert scheduler.leader.counts.entries_dropped >= 3
    assert await connection.command("HKEYS", KEYS.inbox("a")) == [b"allocation:good"]
    assert scheduler.leader.counts.takeovers == 3


async def test_a_task_that_cannot_be_taken_in_does_not_keep_the_others_out(
    connection: Connection, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = Foreman._admit

    def stumbling(self: Foreman, stored, now_ms: int):  # type: ignore[no-untyped-def]
        assert stored.task.id != "bad", "this one cannot be taken in"
        return admit(self, stored, now_ms)

    monkeypatch.setattr(Foreman, "_admit", stumbling)
    for name in ("bad", "good"):
        await submit(connection, name)
    await until_left(connection, requests=0, tasks=0)
    assert scheduler.leader.standing().queued == 1
    assert isinstance((await Tasks(connection, KEYS).load([("sub", "bad")]))[0].life, TaskLife)  # type: ignore[union-attr]
