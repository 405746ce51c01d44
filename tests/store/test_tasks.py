"""The promises of rpn.store.tasks: taken in once, refused without a trace, cancelled whenever, heard once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from rpn.codec import pack_record
from rpn.errors import QueueFull, StoreUnavailable, TaskConflict, TaskQuota
from rpn.model import Task, TaskState
from rpn.store.commits import Decision
from rpn.store.connection import Connection
from rpn.store.intake import Intake
from rpn.store.keys import Keys
from rpn.store.records import CancelEntry, DoneEntry, StartedEntry, SubmitEntry, TaskStreamEntry
from rpn.store.steps import Step, run_steps
from rpn.store.tasks import Cancelled, Submitted, TaskLimits, Tasks, brief, digest
from tests.store.batches import Gateway
from tests.store.deciding import answer, lead, life, task

NEW = Submitted(TaskState.QUEUED, 0, b"")
RESULT = b'{"success":true}'

Do = Callable[[Step[Any]], Awaitable[Any]]
Entries = Callable[[], Awaitable[list[TaskStreamEntry]]]


FIRST_VERSION = (
    b'{"id":"t","type":"compute","submitterId":"a","requirements":{"cpu":10,"memory":0,"storage":0,"gpu":false},'
    b'"data":{"a":1,"b":2},"priority":0,"timeout":null,"queueTimeout":null,"retries":null}'
)
"""a task as it was described when the format of the data was made"""


def test_a_task_is_the_same_one_in_every_version_that_can_say_it() -> None:
    described = msgspec.json.decode(FIRST_VERSION, type=Task)
    assert digest(described) == hashlib.sha256(FIRST_VERSION).hexdigest()


def test_what_a_later_version_says_of_a_task_tells_it_from_others() -> None:
    described = msgspec.json.decode(FIRST_VERSION, type=Task)
    assert digest(msgspec.structs.replace(described, max_attempts=1)) != digest(described)


@pytest.fixture
def tasks(connection: Connection, keys: Keys) -> Tasks:
    return Tasks(connection, keys)


@pytest.fixture
def do(connection: Connection) -> Do:
    """The answer of a step."""
    return lambda step: answer(connection, step)


@pytest.fixture
async def entries(connection: Connection, keys: Keys) -> AsyncIterator[Entries]:
    """What the scheduler has been told so far."""
    intake = Intake(connection, keys)

    async def read() -> list[TaskStreamEntry]:
        intake.rewind()
        return [entry for _, entry in (await intake.read(block_ms=1, count=100)).tasks]

    yield read
    await intake.close()


async def finish(connection: Connection, keys: Keys) -> None:
    """The scheduler ends the task t of a."""
    decision = Decision()
    decision.end_life("a", "t", life(TaskState.SUCCEEDED, attempts=2), RESULT, retention_s=3600)
    await (await lead(connection, keys)).send([decision])


# --- submitting -------------------------------------------------------------------------------


async def test_a_task_is_taken_in(tasks: Tasks, do: Do, entries: Entries) -> None:
    given = task(data={"command": "echo", "input": [1, None, "x"]}, priority=3, timeout_s=1.5)
    assert await do(tasks.submit(given, TaskLimits(10, 10))) == NEW
    assert await entries() == [SubmitEntry("a", "t", pack_record(given))]
    [stored] = await tasks.load([("a", "t")])
    assert stored is not None
    assert (stored.task, stored.cancelled) == (brief(given), False)
    assert stored.life.state is TaskState.QUEUED
    assert stored.life.submitted_ms > 1_600_000_000_000


async def test_the_same_task_again_is_answered_with_where_it_is(
    connection: Connection, keys: Keys, tasks: Tasks, do: Do, entries: Entries
) -> None:
    submit = tasks.submit(task(), TaskLimits(10, 10))
    assert [await do(submit), await do(submit)] == [NEW, NEW]
    assert len(await entries()) == 1
    await finish(connection, keys)
    assert await do(submit) == Submitted(TaskState.SUCCEEDED, 2, RESULT)


async def test_the_same_id_for_another_task_is_a_conflict(tasks: Tasks, do: Do, entries: Entries) -> None:
    await do(tasks.submit(task(), TaskLimits(10, 10)))
    assert isinstance(await do(tasks.submit(task(priority=1), TaskLimits(10, 10))), TaskConflict)
    assert len(await entries()) == 1


async def test_ids_are_the_submitters_own(tasks: Tasks, do: Do) -> None:
    await do(tasks.submit(task("c", "a:b"), TaskLimits(10, 10)))
    await do(tasks.submit(task("b:c", "a"), TaskLimits(10, 10)))
    stored = await tasks.load([("a:b", "c"), ("a", "b:c"), ("a", "c")])
    assert [each and each.task for each in stored] == [brief(task("c", "a:b")), brief(task("b:c", "a")), None]


async def test_a_full_queue_refuses_and_keeps_nothing(tasks: Tasks, do: Do, entries: Entries) -> None:
    await do(tasks.submit(task("t1"), TaskLimits(1, 1)))
    assert isinstance(await do(tasks.submit(task("t2"), TaskLimits(1, 1))), QueueFull)
    assert await do(tasks.submit(task("t1"), TaskLimits(1, 1))) == NEW
    assert await tasks.load([("a", "t2")]) == [None]
    assert len(await entries()) == 1


async def test_a_finished_task_makes_room(connection: Connection, keys: Keys, tasks: Tasks, do: Do) -> None:
    await do(tasks.submit(task(), TaskLimits(1, 1)))
    await finish(connection, keys)
    assert await do(tasks.submit(task("t2"), TaskLimits(1, 1))) == NEW


async def test_tasks_that_travel_together_are_taken_in_or_refused_each_for_itself(
    connection: Connection, tasks: Tasks, entries: Entries
) -> None:
    """The limits count what the same round trip brought before."""
    limits, roomy = TaskLimits(3, 2), TaskLimits(3, 10)
    other = task("t1", priority=5)
    said = [task("t1"), task("t1"), other, task("t2"), task("t3"), task("t1", "b"), task("t2", "b")]
    steps = [tasks.submit(each, roomy if each.submitter_id == "b" else limits) for each in said]
    answers = await run_steps(connection, steps)
    assert answers[:2] == [NEW, NEW]
    assert [type(each) for each in answers[2:]] == [TaskConflict, Submitted, TaskQuota, Submitted, QueueFull]
    told = [(each.submitter_id, each.task_id) for each in await entries() if isinstance(each, SubmitEntry)]
    assert told == [("a", "t1"), ("a", "t2"), ("b", "t1")]


async def test_full_memory_refuses_new_tasks_and_keeps_nothing(
    tasks: Tasks, do: Do, full_memory: Callable[[], Awaitable[Any]], entries: Entries
) -> None:
    await do(tasks.submit(task("before"), TaskLimits(10, 10)))
    await full_memory()
    assert isinstance(await do(tasks.submit(task(), TaskLimits(10, 10))), StoreUnavailable)
    assert await tasks.load([("a", "t")]) == [None]
    assert len(await entries()) == 1


# --- cancelling -------------------------------------------------------------------------------


async def test_a_cancelled_task_is_marked_and_the_scheduler_told_once(
    tasks: Tasks, do: Do, entries: Entries
) -> None:
    await do(tasks.submit(task(), TaskLimits(10, 10)))
    cancel = tasks.cancel("a", "t", mark_ms=60_000)
    assert [await do(cancel), await do(cancel)] == [Cancelled(TaskState.QUEUED, b"")] * 2
    assert await entries() == [SubmitEntry("a", "t", pack_record(task())), CancelEntry("a", "t")]
    [stored] = await tasks.load([("a", "t")])
    assert stored is not None
    assert stored.cancelled


async def test_a_task_cancelled_before_it_is_there_is_born_cancelled(
    connection: Connection, keys: Keys, tasks: Tasks, do: Do
) -> None:
    await do(tasks.cancel("a", "t", mark_ms=60_000))
    assert 0 < await connection.command("PTTL", keys.task("a", "t")) <= 60_000
    assert await tasks.load([("a", "t")]) == [None]
    assert await do(tasks.submit(task(), TaskLimits(10, 10))) == NEW
    [stored] = await tasks.load([("a", "t")])
    assert stored is not None
    assert stored.cancelled
    assert await connection.command("PTTL", keys.task("a", "t")) == -1
    await finish(connection, keys)


async def test_cancelling_what_is_over_answers_its_result(
    connection: Connection, keys: Keys, tasks: Tasks, do: Do, entries: Entries
) -> None:
    await do(tasks.submit(task(), TaskLimits(10, 10)))
    await finish(connection, keys)
    assert await do(tasks.cancel("a", "t", mark_ms=60_000)) == Cancelled(TaskState.SUCCEEDED, RESULT)
    assert len(await entries()) == 1


# --- reporting --------------------------------------------------------------------------------


async def test_reports_come_from_the_session_that_speaks_for_the_device(
    connection: Connection, tasks: Tasks, do: Do, gateway: Gateway, entries: Entries
) -> None:
    reports: list[TaskStreamEntry] = [StartedEntry("a", "t", "t#1"), DoneEntry("a", "t", "t#1", True, RESULT)]
    await gateway.join("a", session="old")
    await gateway.join("a", session="new")
    assert await do(tasks.report("a", "old g1", reports[0])) is False
    assert await do(tasks.report("b", "s1 g1", reports[0])) is False
    assert await entries() == []
    told = [tasks.report("a", "new g1", reports[0]), tasks.report("a", "old g1", reports[0])]
    told.append(tasks.report("a", "new g1", reports[1]))
    assert await run_steps(connection, told) == [True, False, True]
    assert await entries() == reports
