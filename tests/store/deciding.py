"""What a scheduler writes and reads, with dull defaults."""

from __future__ import annotations

from typing import Any

from rpn.model import Requirements, Task, TaskState
from rpn.store.commits import Commits, Decision, Delivery
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.leadership import Leadership
from rpn.store.records import AllocationRecord, RequestEntry, TaskLife
from rpn.store.steps import Step, run_steps

LEASE_MS = 60_000
INBOX_TTL_MS = 60_000

NEED = Requirements(cpu=100)


def task(task_id: str = "t", submitter_id: str = "a", **more: Any) -> Task:
    return Task(id=task_id, type="compute", submitter_id=submitter_id, requirements=NEED, **more)


def life(state: TaskState = TaskState.ASSIGNED, **more: Any) -> TaskLife:
    return TaskLife(state, 1, **more)


def request(allocation_id: str = "x", device_id: str = "a", presence: str = "s1 g1") -> RequestEntry:
    return RequestEntry(allocation_id, device_id, presence, NEED)


def held(allocation_id: str = "x", requester_id: str = "a") -> AllocationRecord:
    return AllocationRecord(allocation_id, requester_id, NEED, [], 1)


def holding(*allocation_ids: str, rests: dict[str, str] | None = None) -> Decision:
    """Holds allocations, if these devices are where they were."""
    decision = Decision()
    for device_id, presence in (rests or {}).items():
        decision.rest_on(device_id, presence)
    for allocation_id in allocation_ids:
        decision.hold(held(allocation_id))
    return decision


def delivering(*deliveries: Delivery) -> Decision:
    decision = Decision()
    for each in deliveries:
        decision.deliver(each)
    return decision


async def lead(connection: Connection, keys: Keys, *, sender: Connection | None = None) -> Commits:
    """The commits of a leadership that was just taken; sent over `sender` if it is another connection."""
    fence = await Leadership(connection, keys, lease_ms=LEASE_MS).take()
    assert fence is not None
    return Commits(sender or connection, keys, fence=fence, lease_ms=LEASE_MS, inbox_ttl_ms=INBOX_TTL_MS)


async def answer(connection: Connection, step: Step[Any]) -> Any:
    """What becomes of one step alone."""
    [answer] = await run_steps(connection, [step])
    return answer
