"""The promises of rpn.store.commits: only the leader writes, once, all or nothing; what is sent arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partialmethod
from typing import Any

import pytest

from rpn.errors import StoreUnavailable
from rpn.model import TaskState
from rpn.store import backlog, scripts
from rpn.store.commits import WINDOW, Commits, Decision, Delivery, Deposed
from rpn.store.connection import Connection
from rpn.store.intake import Intake
from rpn.store.keys import Keys
from rpn.store.mailbox import Mailbox
from rpn.store.requests import Requests
from rpn.store.task_index import TaskIndex
from rpn.store.tasks import TaskLimits, Tasks, brief
from tests.store.batches import Gateway
from tests.store.conftest import Forgetful
from tests.store.deciding import answer, delivering, held, holding, lead, life, request, task


@pytest.fixture
async def commits(connection: Connection, keys: Keys) -> Commits:
    return await lead(connection, keys)


@pytest.fixture
async def allocations(connection: Connection, keys: Keys) -> Callable[[], Awaitable[set[str]]]:
    """The ids of all that are held."""

    async def ids() -> set[str]:
        return {each.decode() for each in await connection.command("HKEYS", keys.allocations)}

    return ids


Ids = Callable[[], Awaitable[set[str]]]


# --- what is written --------------------------------------------------------------------------


async def test_what_was_decided_is_what_a_new_leader_finds(
    connection: Connection, keys: Keys, commits: Commits
) -> None:
    await answer(connection, Tasks(connection, keys).submit(task(), TaskLimits(10, 10)))
    decision = holding("x", "y")
    decision.keep_life("a", "t", life(attempt="t#1", device_id="b"))
    decision.due("timeout t", 1_790_000_000_000)
    decision.due("nothing", 5)
    await commits.send([decision])
    later = Decision()
    later.free("y", "a")
    later.undue("nothing")
    await commits.send([later])
    found = await backlog.load(connection, keys)
    assert found.allocations == [held("x")]
    assert [(each.task, each.life) for each in found.tasks] == [
        (brief(task()), life(attempt="t#1", device_id="b"))
    ]
    assert found.due == {"timeout t": 1_790_000_000_000}


async def test_what_is_freed_and_held_again_in_one_commit_is_held(commits: Commits, allocations: Ids) -> None:
    await commits.send([holding("x", "y")])
    freed = Decision()
    freed.free("x", "a")
    freed.free("y", "a")
    await commits.send([freed, holding("x")])
    assert await allocations() == {"x"}


async def test_a_decision_in_the_middle_is_skipped_and_all_others_are_written(
    connection: Connection, keys: Keys, gateway: Gateway, commits: Commits, allocations: Ids
) -> None:
    await gateway.join("a")
    decisions = [holding(f"x{number}") for number in range(5)]
    for number, decision in enumerate(decisions):
        decision.rest_on("a", "s1 g1" if number != 2 else "s0 g1")
        decision.due(f"x{number}", number + 1)
        decision.deliver(Delivery("a", "s1 g1" if number != 3 else "s0 g1", b"{}", f"x{number}"))
    committed = await commits.send(decisions)
    assert (committed.skipped, committed.moved) == ([2], [(3, 0)])
    assert await allocations() == {"x0", "x1", "x3", "x4"}
    assert await connection.command("ZRANGE", keys.due, 0, -1) == [b"x0", b"x1", b"x3", b"x4"]
    assert await connection.command("HLEN", keys.inbox("a")) == 4
    async for letters in Mailbox(connection, keys, "g1").letters():
        assert [letter.inbox_id for letter in letters] == ["x0", "x1", "x4"]
        break


async def test_a_finished_task_keeps_its_result_for_a_while(
    connection: Connection, keys: Keys, commits: Commits
) -> None:
    tasks = Tasks(connection, keys)
    await answer(connection, tasks.submit(task(), TaskLimits(10, 10)))
    decision = Decision()
    decision.end_life("a", "t", life(TaskState.SUCCEEDED), b'{"success":true}', retention_s=3600)
    await commits.send([decision])
    found = await TaskIndex(connection, keys).get("a", "t")
    assert (found.state, bytes(found.result)) == (TaskState.SUCCEEDED, b'{"success":true}')
    assert 3_500_000 < await connection.command("PTTL", keys.task("a", "t")) <= 3_600_000
    assert (await backlog.load(connection, keys)).tasks == []


async def test_what_was_answered_is_not_asked_again(
    connection: Connection, keys: Keys, gateway: Gateway, commits: Commits
) -> None:
    await gateway.join("a")
    requests, tasks = Requests(connection, keys), Tasks(connection, keys)
    for name in ("x", "y"):
        await answer(connection, requests.enter(request(name), presence="s1 g1", mark=name))
        await answer(connection, tasks.submit(task(name), TaskLimits(10, 10)))
    intake = Intake(connection, keys)
    found = await intake.read(block_ms=1, count=10)
    decision = Decision()
    decision.request_processed(found.requests[0][0])
    decision.task_entry_processed(found.tasks[1][0])
    await commits.send([decision])
    intake.rewind()
    left = await intake.read(block_ms=1, count=10)
    await intake.close()
    assert left == (found.requests[1:], found.tasks[:1], [])


# --- who may write ----------------------------------------------------------------------------


async def expire(connection: Connection, keys: Keys) -> None:
    await connection.command("DEL", keys.lease)


async def succeed(connection: Connection, keys: Keys) -> None:
    await expire(connection, keys)
    await lead(connection, keys)


@pytest.mark.parametrize("depose", [expire, succeed])
async def test_a_leader_that_was_deposed_writes_nothing(
    connection: Connection, keys: Keys, commits: Commits, allocations: Ids, depose: Any
) -> None:
    await depose(connection, keys)
    lease = await connection.command("GET", keys.lease)
    for decisions in ([holding("x")], [delivering(Delivery("a", "s1 g1", b"{}", "x"))], []):
        with pytest.raises(Deposed):
            await commits.send(decisions)
    assert await allocations() == set()
    assert await connection.command("EXISTS", keys.mailbox("g1"), keys.inbox("a")) == 0
    assert await connection.command("GET", keys.lease) == lease


@pytest.mark.parametrize("decisions", [[], [holding("x")]])
async def test_every_commit_renews_the_lease(
    connection: Connection, keys: Keys, commits: Commits, decisions: list[Decision]
) -> None:
    await connection.command("PEXPIRE", keys.lease, 20_000)
    await commits.send(decisions)
    assert await connection.command("PTTL", keys.lease) > 50_000


# --- once -------------------------------------------------------------------------------------


async def test_a_commit_whose_reply_was_lost_is_answered_and_not_applied_again(
    connection: Connection, keys: Keys, forgetful: Forgetful, gateway: Gateway, allocations: Ids
) -> None:
    await gateway.join("a", "b")
    commits = await lead(connection, keys, sender=forgetful)
    forgetful.lost_next = 2
    committed = await commits.send(
        [
            holding("x", rests={"a": "elsewhere"}),
            holding("y", rests={"a": "s1 g1"}),
            delivering(Delivery("a", "s1 g1", b"{}"), Delivery("b", "s0 g0", b"{}")),
        ]
    )
    assert committed == ([0], [(2, 1)])
    assert await allocations() == {"y"}
    assert await connection.command("XLEN", keys.mailbox("g1")) == 1


async def test_a_commit_whose_outcome_stays_unknown_says_so(
    connection: Connection, keys: Keys, forgetful: Forgetful, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = scripts.Script.run_until_known
    monkeypatch.setattr(scripts.Script, "run_until_known", partialmethod(patient, limit_s=0.05))
    commits = await lead(connection, keys, sender=forgetful)
    forgetful.lost_next = 1000
    with pytest.raises(StoreUnavailable):
        await commits.send([holding("x")])


async def test_a_commit_survives_that_the_server_forgot_the_script(
    connection: Connection, commits: Commits, allocations: Ids
) -> None:
    for name in ("x", "y"):
        await connection.command("SCRIPT", "FLUSH")
        await commits.send([holding(name)])
    assert await allocations() == {"x", "y"}


# --- several under way ------------------------------------------------------------------------


async def test_commits_under_way_together_are_written_in_order(commits: Commits, allocations: Ids) -> None:
    freed = Decision()
    freed.free("x", "a")
    under_way = [commits.post([each]) for each in (holding("x", "y"), freed, holding("z"))]
    assert [await commits.known(each) for each in under_way] == [([], [])] * 3
    assert await allocations() == {"y", "z"}


async def test_commits_whose_replies_were_lost_are_each_answered_as_the_first_time(
    connection: Connection, keys: Keys, forgetful: Forgetful, gateway: Gateway, allocations: Ids
) -> None:
    await gateway.join("a")
    commits = await lead(connection, keys, sender=forgetful)
    await commits.send([])
    forgetful.lost_posts = WINDOW
    skipped = {0, 3, WINDOW - 1}
    under_way = [
        commits.post([holding(f"x{n}", rests={"a": "elsewhere" if n in skipped else "s1 g1"})])
        for n in range(WINDOW)
    ]
    outcomes = [await commits.known(each) for each in under_way]
    assert outcomes == [([0] if n in skipped else [], []) for n in range(WINDOW)]
    assert await allocations() == {f"x{n}" for n in range(WINDOW) if n not in skipped}


async def test_a_commit_waits_for_the_one_before_it(
    connection: Connection, keys: Keys, forgetful: Forgetful, allocations: Ids
) -> None:
    commits = await lead(connection, keys, sender=forgetful)
    await commits.send([])
    forgetful.unsent_posts = 1
    freed = Decision()
    freed.free("x", "a")
    first, second = commits.post([holding("x", "y")]), commits.post([freed])
    assert await allocations() == set()
    assert [await commits.known(first), await commits.known(second)] == [([], [])] * 2
    assert await allocations() == {"y"}


async def test_a_leader_whose_last_commit_the_store_has_lost_starts_over(
    connection: Connection, keys: Keys, commits: Commits, allocations: Ids
) -> None:
    await commits.send([holding("x")])
    await connection.command("HDEL", keys.meta, "commit")
    with pytest.raises(Deposed):
        await commits.send([holding("y")])
    assert await allocations() == {"x"}


# --- decisions and the devices they rest on ---------------------------------------------------


async def test_a_decision_whose_device_moved_is_skipped_whole_and_its_neighbours_hold(
    connection: Connection, keys: Keys, gateway: Gateway, commits: Commits, allocations: Ids
) -> None:
    await gateway.join("a", "b")
    await gateway.join("b", session="s2")
    moved = holding("moved", rests={"a": "s1 g1", "b": "s1 g1"})
    moved.due("moved", 5)
    moved.deliver(Delivery("a", "s1 g1", b"{}", "x"))
    committed = await commits.send(
        [
            holding("first", rests={"a": "s1 g1"}),
            moved,
            holding("gone", rests={"nobody": "s1 g1"}),
            holding("last", rests={"b": "s2 g1"}),
        ]
    )
    assert committed == ([1, 2], [])
    assert await allocations() == {"first", "last"}
    assert await connection.command("EXISTS", keys.due, keys.inbox("a"), keys.mailbox("g1")) == 0


# --- deliveries -------------------------------------------------------------------------------


async def test_a_delivery_goes_into_the_mailbox_and_where_asked_into_the_inbox(
    connection: Connection, keys: Keys, gateway: Gateway, commits: Commits
) -> None:
    await gateway.join("a", "b")
    committed = await commits.send(
        [delivering(Delivery("a", "s1 g1", b'"result"', "x")), delivering(Delivery("b", "s1 g1", b'"go"'))]
    )
    assert committed == ([], [])
    assert await connection.command("HGETALL", keys.inbox("a")) == {b"x": b'"result"'}
    assert await connection.command("EXISTS", keys.inbox("b")) == 0
    assert await connection.command("XLEN", keys.mailbox("g1")) == 1  # one write a gateway and commit


async def test_a_delivery_whose_device_moved_is_told_and_waits_in_the_inbox(
    connection: Connection, keys: Keys, gateway: Gateway, commits: Commits
) -> None:
    await gateway.join("a")
    await gateway.join("a", session="s2")
    away = [
        Delivery("a", "s1 g1", b'"for the old session"'),
        Delivery("a", "s1 g1", b'"one"', "one"),
        Delivery("b", "", b'"two"', "two"),
    ]
    committed = await commits.send([delivering(Delivery("a", "s2 g1", b'"here"')), delivering(*away)])
    assert committed == ([], [(1, 0), (1, 1), (1, 2)])
    assert await connection.command("XLEN", keys.mailbox("g1")) == 1
    assert await connection.command("HGETALL", keys.inbox("a")) == {b"one": b'"one"'}
    assert await connection.command("HGETALL", keys.inbox("b")) == {b"two": b'"two"'}


async def test_full_memory_does_not_keep_work_from_finishing(
    connection: Connection,
    keys: Keys,
    gateway: Gateway,
    commits: Commits,
    allocations: Ids,
    full_memory: Callable[[], Awaitable[Any]],
) -> None:
    await full_memory()
    await gateway.join("a")
    await commits.send([holding("x"), delivering(Delivery("a", "s1 g1", b"{}", "x"))])
    assert await allocations() == {"x"}
    assert await connection.command("EXISTS", keys.mailbox("g1"), keys.inbox("a")) == 2
