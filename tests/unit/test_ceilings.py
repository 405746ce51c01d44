"""How much of the pool one token may hold at once, whoever asks in its name and however."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rpn.messages import TaskStatus
from rpn.model import Requirements, TaskState
from rpn.settings import SchedulerSettings
from rpn.store.records import Call, Patron, ReleaseEntry, RequestEntry
from tests.support.leadership import Leadership
from tests.support.scheduling import FakeStore, resources, task

QUARTER = Patron("t1", share_percent=25)
"""of two devices with four cores each: two cores"""
EIGHTH = Requirements(cpu=100, memory=10)


@pytest.fixture
def store() -> FakeStore:
    """Two devices of four cores, and two who ask."""
    store = FakeStore()
    for name in ("a", "b"):
        store.join(name, resources())
    for name in ("sub", "other"):
        store.join(name, None, accepts=("events",))
    return store


@pytest.fixture
def leads(store: FakeStore) -> Leadership:
    return Leadership(store)


def call(store: FakeStore, name: str, need: Requirements = EIGHTH, patron: Patron | None = QUARTER) -> None:
    """Somebody asks for an allocation of this name."""
    asked: dict[str, Any] = {"call": Call(name, "g1"), "ttl_ms": 5000, "releases": True, "explains": True}
    store.enter_request(RequestEntry(name, "caller", "", need, patron=patron, **asked))


def told(store: FakeStore, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.call_answers[name])
    return found


def started(store: FakeStore) -> list[str]:
    """The tasks that some device was given, in order."""
    return [each.task_id for name in ("a", "b") for each in store.assignments(name)]


def reasons(store: FakeStore, submitter_id: str) -> list[str]:
    """The codes of why its tasks wait."""
    said = [each.reason for each in store.messages(submitter_id) if isinstance(each, TaskStatus)]
    return [reason.code for reason in said if reason is not None]


def test_a_token_reserves_its_share_and_is_told_why_no_more(store: FakeStore, leads: Leadership) -> None:
    for name in ("x", "y", "z"):
        call(store, name)
    leads.rounds(20)
    assert sorted(store.allocations) == ["x", "y"]
    assert told(store, "z")["reason"] == {
        "code": "QUOTA",
        "message": "1 cores would be too much beside 2 cores that its token holds: "
        "it may hold 2 cores, 25 % of the pool",
        "devices": 0,
    }


def test_what_others_hold_is_not_counted(store: FakeStore, leads: Leadership) -> None:
    call(store, "big", Requirements(cpu=400), patron=Patron("t2"))
    call(store, "open", Requirements(cpu=100), patron=None)
    call(store, "x")
    leads.rounds(20)
    assert sorted(store.allocations) == ["big", "open", "x"]


def test_what_is_given_back_may_be_taken_again(store: FakeStore, leads: Leadership) -> None:
    call(store, "x", Requirements(cpu=200))
    leads.rounds()
    store.enter_request(ReleaseEntry("", "x", call=Call("bye", "g1")))
    leads.rounds()
    call(store, "y", Requirements(cpu=200))
    leads.rounds()
    assert list(store.allocations) == ["y"]


def test_tasks_and_allocations_of_one_token_are_one_sum(store: FakeStore, leads: Leadership) -> None:
    call(store, "x")
    leads.rounds()
    for name in ("t1", "t2"):
        store.submit(task(name, requirements=EIGHTH), QUARTER)
    leads.rounds()
    assert started(store) == ["t1"]
    store.enter_request(ReleaseEntry("", "x", call=Call("bye", "g1")))
    leads.rounds()
    assert sorted(started(store)) == ["t1", "t2"]


def test_a_token_that_has_its_share_holds_nobody_else_up(store: FakeStore, leads: Leadership) -> None:
    for number in range(9):
        store.submit(task(f"mine{number}", requirements=EIGHTH, priority=5), QUARTER)
    store.submit(task("theirs", submitter_id="other", requirements=EIGHTH))
    leads.rounds()
    assert sorted(started(store)) == ["mine0", "mine1", "theirs"]
    assert reasons(store, "sub")[-1] == "QUOTA"
    assert leads.matchmaker.standing().depths == {
        "INSUFFICIENT": 0,
        "INFEASIBLE": 0,
        "QUOTA": 7,
        "RESTING": 0,
    }


def test_no_device_is_kept_for_a_task_whose_token_has_its_share(store: FakeStore) -> None:
    store.join("c", resources(gpu=True))
    store.join("d", resources(gpu=True))
    leads, half = Leadership(store), Patron("t1", share_percent=50)
    gpu = Requirements(cpu=1, gpu=True)
    for number in range(2):
        store.submit(task(f"mine{number}", requirements=gpu), half)
    store.submit(task("theirs", submitter_id="other", requirements=gpu))
    leads.rounds()
    assert {each.task_id for name in "cd" for each in store.assignments(name)} == {"mine0", "theirs"}


def test_a_task_that_ends_lets_the_next_of_its_token_begin(store: FakeStore, leads: Leadership) -> None:
    for number in range(3):
        store.submit(task(f"t{number}", requirements=EIGHTH), QUARTER)
    leads.rounds()
    assert len(started(store)) == 2
    store.finish("a" if store.assignments("a") else "b")
    leads.rounds()
    assert len(started(store)) == 3


def test_several_names_of_one_token_are_one(store: FakeStore, leads: Leadership) -> None:
    for number in range(4):
        store.submit(task("t", submitter_id=f"name{number}", requirements=EIGHTH), QUARTER)
    leads.rounds()
    assert len(started(store)) == 2


def test_what_is_more_than_the_share_fails_as_what_no_device_could_hold(store: FakeStore) -> None:
    leads = Leadership(store, SchedulerSettings(infeasible_limit_s=1))
    store.submit(task("t", requirements=Requirements(cpu=300)), QUARTER)
    leads.rounds(3)
    assert reasons(store, "sub") == ["QUOTA"]
    store.now_ms += 2000
    leads.rounds(3)
    assert store.state() is TaskState.FAILED
    [outcome] = store.outcomes["sub", "t"]
    failure = json.loads(outcome)
    assert (failure["code"], "25 % of the pool" in failure["error"]) == ("INFEASIBLE", True)


def test_a_new_leader_counts_what_is_held_already(store: FakeStore, leads: Leadership) -> None:
    call(store, "x")
    store.submit(task("t1", requirements=EIGHTH), QUARTER)
    leads.rounds()
    later = Leadership(store)
    store.submit(task("t2", requirements=EIGHTH), QUARTER)
    call(store, "y")
    later.rounds(20)
    assert (list(store.allocations), started(store)) == (["x"], ["t1"])


def test_a_lost_share_is_not_replaced_by_more_than_the_token_may_hold(
    store: FakeStore, leads: Leadership
) -> None:
    half = Patron("t1", share_percent=50)
    call(store, "x", Requirements(cpu=400), half)
    leads.rounds()
    [share] = store.allocations["x"].shares
    store.leave(share.device_id)
    leads.rounds()
    assert not store.allocations


def test_a_dry_run_is_told_of_the_quota_too(store: FakeStore, leads: Leadership) -> None:
    presence = store.sessions["sub"]
    need = Requirements(cpu=300)
    store.enter_request(
        RequestEntry("dry", "sub", presence, need, dry_run=True, explains=True, patron=QUARTER)
    )
    leads.rounds(20)
    reason = store.answer("dry").reason
    assert reason is not None
    assert reason.code == "QUOTA"


def test_a_plain_client_is_refused_and_keeps_what_it_holds(store: FakeStore, leads: Leadership) -> None:
    for name in ("x", "y", "z"):
        store.enter_request(RequestEntry(name, "sub", store.sessions["sub"], EIGHTH, patron=QUARTER))
        leads.rounds(20)
    assert sorted(store.allocations) == ["x", "y"]
    answer = store.answer("z")
    assert (answer.allocation.fulfilled, answer.reason) == (False, None)


def test_a_device_is_no_longer_kept_for_a_task_whose_token_has_got_its_share(store: FakeStore) -> None:
    store.join("c", resources(gpu=True))
    leads, gpu = Leadership(store), Requirements(cpu=1, gpu=True)
    store.submit(task("busy", submitter_id="other", requirements=gpu))
    leads.rounds()
    whole = Patron("t1", share_percent=100)
    store.submit(task("mine", requirements=Requirements(cpu=200, gpu=True)), whole)
    leads.rounds()  # and c is kept for it
    call(store, "x", Requirements(cpu=1100), whole)
    store.submit(task("theirs", submitter_id="other", requirements=gpu))
    leads.rounds(20)
    store.finish("c")
    leads.rounds()
    assert [each.task_id for each in store.assignments("c")] == ["busy", "theirs"]


def test_what_a_lost_device_gives_back_counts_at_once(store: FakeStore) -> None:
    store.join("c", resources(gpu=True))
    leads, half = Leadership(store), Patron("t1", share_percent=50)
    call(store, "x", Requirements(cpu=400, gpu=True), Patron("t1", share_percent=100))
    leads.rounds()
    store.lose("c")
    store.submit(task("t", requirements=EIGHTH), half)
    leads.rounds()
    assert not started(store)
    store.enter_request(ReleaseEntry("", "x", call=Call("bye", "g1")))
    leads.rounds()
    assert started(store) == ["t"]
