"""A leader outlives the store's failures, and what its leaderships leave behind."""

from __future__ import annotations

import asyncio

import pytest

from rpn.errors import StoreUnavailable
from rpn.replica import Replica
from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from scheduler.leader import Leader
from scheduler.term import Term

TERMS = 3


async def test_a_leadership_that_failed_leaves_no_cancel_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next limit of time that runs out in this task ends it (CPython before 3.11.3)."""
    connection, keys, settings = Connection("redis://127.0.0.1:1"), Keys("default"), SchedulerSettings()
    leader = Leader(connection, keys, settings, Replica(), lambda: 0)
    counted: list[int] = []

    async def lost() -> None:
        raise StoreUnavailable("gone")

    async def fails(_: Term) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(lost())

    async def take() -> int:
        task = asyncio.current_task()
        assert task is not None
        counted.append(task.cancelling())
        if len(counted) == TERMS:
            await leader.step_down()
        return 1

    async def release(_: int) -> None:
        return

    monkeypatch.setattr(Term, "run", fails)
    monkeypatch.setattr(leader._leadership, "take", take)
    monkeypatch.setattr(leader._leadership, "release", release)
    await leader.run()
    assert counted == [0] * TERMS
    await connection.close()
