"""A new leader goes on from what the store holds, and the same state gives the same plan."""

from __future__ import annotations

import pytest

from rpn.model import Requirements, TaskState
from tests.support.scheduling import CORE, FakeStore, Leadership, resources, small_pool, task


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def leads(store: FakeStore) -> Leadership:
    return small_pool(store)


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
