"""All that a new leader needs to know beside the devices: what is held, what is open, what is due."""

from __future__ import annotations

from typing import NamedTuple

from rpn.codec import unpack_record
from rpn.store.connection import Connection
from rpn.store.keys import Keys, task_of
from rpn.store.records import AllocationRecord, StoredTask
from rpn.store.tasks import Tasks

CHUNK = 500
"""tasks read in one round trip"""


class Backlog(NamedTuple):
    """The scheduler's memory, as the store has it."""

    now_ms: int
    """the store's clock"""
    allocations: list[AllocationRecord]
    tasks: list[StoredTask]
    """all open ones, the oldest first"""
    due: dict[str, int]
    """deadlines: member -> ms"""


async def load(connection: Connection, keys: Keys) -> Backlog:
    """Read it all. Raises StoreUnavailable."""
    time, allocations, members, due = await connection.commands(
        [
            ("TIME",),
            ("HVALS", keys.allocations),
            ("ZRANGE", keys.open, 0, -1),
            ("ZRANGE", keys.due, 0, -1, "WITHSCORES"),
        ]
    )
    names = [task_of(member.decode()) for member in members]
    tasks: list[StoredTask] = []
    for start in range(0, len(names), CHUNK):
        found = await Tasks(connection, keys).load(names[start : start + CHUNK])
        tasks += [task for task in found if task is not None]
    pairs = zip(due[::2], due[1::2], strict=True)
    return Backlog(
        int(time[0]) * 1000 + int(time[1]) // 1000,
        [unpack_record(AllocationRecord, each) for each in allocations],
        tasks,
        {member.decode(): int(float(at_ms)) for member, at_ms in pairs},
    )
