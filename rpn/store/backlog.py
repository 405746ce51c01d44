"""All that a new leader needs to know beside the devices: what is held, what is open, what is due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from rpn.codec import unpack_record
from rpn.store.connection import Connection
from rpn.store.keys import Keys, task_of
from rpn.store.records import AllocationRecord, StoredTask
from rpn.store.tasks import Tasks

CHUNK, LOOK_CHUNK = 500, 1000
"""tasks read in one round trip, and those of which only one thing is asked"""

Name = tuple[str, str]
"""of a task: (submitter, id)"""


class Backlog(NamedTuple):
    """The scheduler's memory, as the store has it."""

    now_ms: int
    """the store's clock"""
    allocations: list[AllocationRecord]
    tasks: list[StoredTask]
    """all open ones, the oldest first"""
    due: dict[str, int]
    """deadlines: member -> ms"""


async def begin(connection: Connection, keys: Keys) -> tuple[Backlog, list[Name]]:
    """All but the tasks, and the names of those. Raises StoreUnavailable."""
    time, allocations, members, due = await connection.commands(
        [
            ("TIME",),
            ("HVALS", keys.allocations),
            ("ZRANGE", keys.open, 0, -1),
            ("ZRANGE", keys.due, 0, -1, "WITHSCORES"),
        ]
    )
    pairs = zip(due[::2], due[1::2], strict=True)
    backlog = Backlog(
        int(time[0]) * 1000 + int(time[1]) // 1000,
        [unpack_record(AllocationRecord, each) for each in allocations],
        [],
        {member.decode(): int(float(at_ms)) for member, at_ms in pairs},
    )
    return backlog, [task_of(member.decode()) for member in members]


async def parted(connection: Connection, keys: Keys, names: list[Name]) -> tuple[list[Name], list[Name]]:
    """Those that some device has, and the others. Raises StoreUnavailable."""
    tasks = Tasks(connection, keys)
    given: list[Name] = []
    waiting: list[Name] = []
    for start in range(0, len(names), LOOK_CHUNK):
        part = names[start : start + LOOK_CHUNK]
        active = await tasks.active(part)
        given += [part[place] for place in active]
        waiting += [name for place, name in enumerate(part) if place not in active]
    return given, waiting


async def chunks(connection: Connection, keys: Keys, names: list[Name]) -> AsyncIterator[list[StoredTask]]:
    """The open tasks, a part at a time: there may be more than one wants to hold twice."""
    tasks = Tasks(connection, keys)
    for start in range(0, len(names), CHUNK):
        found = await tasks.load(names[start : start + CHUNK])
        yield [task for task in found if task is not None]


async def load(connection: Connection, keys: Keys) -> Backlog:
    """Read it all. Raises StoreUnavailable."""
    backlog, names = await begin(connection, keys)
    async for part in chunks(connection, keys, names):
        backlog.tasks.extend(part)
    return backlog
