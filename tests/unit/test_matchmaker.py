"""A new leader goes on from what the store holds, and the same state gives the same plan."""

from __future__ import annotations

from rpn.model import Requirements, TaskState
from rpn.store.commits import Committed, Decision
from rpn.store.records import DoneEntry
from tests.support.leadership import Leadership
from tests.support.scheduling import CORE, GOOD, FakeStore, resources, task


def test_a_new_leader_goes_on_where_the_old_one_was(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    store.submit(task("t1"))
    store.submit(task("t2", requirements=Requirements(cpu=9900), queue_timeout_s=100))
    leads.rounds()
    held = {name: dict(leads.matchmaker.ledger.holders(name)) for name in ("a", "b")}
    due = dict(store.due)
    leads.take_over()
    leads.rounds()
    assert {name: dict(leads.matchmaker.ledger.holders(name)) for name in ("a", "b")} == held
    assert store.due == due
    store.finish("a")
    leads.rounds()
    assert store.state("t1") is TaskState.SUCCEEDED
    assert len(store.answers) == 1


def test_a_new_leader_answers_requests_before_it_has_come_to_all_tasks(
    store: FakeStore, leads: Leadership
) -> None:
    store.submit(task("t1", requirements=Requirements(cpu=300)))
    leads.rounds()
    runs_on = store.lives["sub", "t1"].device_id
    store.submit(task("t2", requirements=Requirements(cpu=9900), queue_timeout_s=100))
    leads.rounds()
    leads.begin()
    store.ask("x", "me", CORE)
    store.cancel(("sub", "t2"))
    store.finish(runs_on)
    store.leave("b" if runs_on == "a" else "a")
    leads.rounds()
    assert store.answer("x").allocation.fulfilled
    assert sum(len(leads.matchmaker.ledger.holders(name)) for name in ("a", "b")) == 2
    assert store.state("t1") is not TaskState.SUCCEEDED
    leads.complete()
    leads.rounds()
    assert [store.state("t1"), store.state("t2")] == [TaskState.SUCCEEDED, TaskState.CANCELLED]


def test_a_new_leader_notices_who_left_meanwhile(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", Requirements(cpu=50, memory=50))
    store.submit(task("t"))
    leads.rounds()
    store.leave("a")
    store.leave("me", "closed")
    leads.follow()
    leads.take_over()
    leads.rounds()
    assert store.due["requester:me"] == store.now_ms - 150 + 30_000
    store.now_ms += 2_000
    leads.rounds()
    assert store.lives["sub", "t"].device_id == "b"
    assert not store.allocations


def test_a_new_leader_reads_again_what_was_not_committed(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.take_over()
    leads.rounds()
    leads.take_over()
    leads.rounds()
    assert store.answer("x").allocation.fulfilled


def test_the_same_state_gives_the_same_plan(store: FakeStore) -> None:
    def plan() -> list[object]:
        pool = FakeStore()
        for number in range(6):
            pool.join(f"d{number}", resources(cores=1 + number % 3, gpu=number == 4))
        leads = Leadership(pool)
        for number in range(4):
            pool.ask(f"x{number}", "d1", Requirements(cpu=250, memory=2000, gpu=number == 2))
            pool.submit(task(f"t{number}", priority=number))
        leads.rounds()
        return [pool.allocations, pool.lives, pool.mail]

    assert plan() == plan()


def test_small_work_does_not_starve_a_task_that_waits_for_a_gpu(store: FakeStore) -> None:
    store.join("sub", None, accepts=("acks",))
    store.join("g", resources(cores=2, gpu=True))
    leads = Leadership(store)
    half = Requirements(cpu=100)
    store.submit(task("s0", requirements=half))
    store.submit(task("s1", requirements=half))
    leads.rounds()
    store.submit(task("big", requirements=Requirements(cpu=200, gpu=True)))
    leads.rounds()
    for number in range(2, 6):
        store.submit(task(f"s{number}", "other", requirements=half))
        oldest = store.assignments("g")[number - 2]
        store.say(DoneEntry("g", oldest.task_id, oldest.attempt, True, GOOD))
        leads.rounds()
        if store.state("big") is TaskState.ASSIGNED:
            break
    assert store.state("big") is TaskState.ASSIGNED
    assert store.lives["other", "s2"].state is TaskState.QUEUED


def test_a_long_queue_delays_anothers_first_task_by_no_more_than_one_run(store: FakeStore) -> None:
    store.join("d", resources(cores=1))
    leads = Leadership(store)
    for number in range(500):
        store.submit(task(f"a{number}", "greedy"))
    leads.rounds(6)
    store.submit(task("b", "modest"))
    leads.rounds()
    running = store.assignments("d")[-1]
    store.say(DoneEntry("d", running.task_id, running.attempt, True, GOOD))
    leads.rounds()
    assert store.assignments("d")[-1].task_id == "b"


def test_a_long_round_is_written_in_parts_and_nothing_twice(store: FakeStore, leads: Leadership) -> None:
    for number in range(20):
        store.submit(task(f"t{number}", requirements=Requirements(memory=1)))
        store.ask(f"x{number}", "me", Requirements(memory=1))
    entries, requests = list(store.entries), list(store.requests)
    written: list[list[str]] = []
    commit = store.commit

    def spied(decisions: list[Decision]) -> Committed:
        written.append([name for each in decisions for name in (*each.entries, *each.requests)])
        return commit(decisions)

    store.commit = spied  # type: ignore[method-assign]
    leads.matchmaker.part = 4
    leads.round()
    assert len(written) > 8
    assert max(map(len, written)) <= 8
    assert sorted(name for names in written for name in names) == sorted({*entries, *requests})
    assert len(store.answers) == 20
    assert len(store.assignments("a")) + len(store.assignments("b")) == 20
