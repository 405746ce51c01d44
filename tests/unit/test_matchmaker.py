"""What the scheduler decides, over a store in memory that skips as the real one does."""

from __future__ import annotations

import msgspec
import pytest

from rpn.messages import ResourceAllocation, TaskCancelled, TaskResultMessage, TaskStatus
from rpn.model import Requirements, TaskState
from rpn.settings import SchedulerSettings
from rpn.store.records import DoneEntry, ProgressEntry, ReleaseEntry, RequestEntry, StartedEntry
from tests.support.scheduling import FakeStore, Leadership, resources, task

GOOD = b'{"success":true,"result":1}'
BAD = b'{"success":false,"error":"exit 1","code":"EXIT"}'
CORE = Requirements(cpu=100, memory=100)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def leads(store: FakeStore) -> Leadership:
    """Over a pool of a plain client `me` with nothing, and the agents `a` and `b`."""
    store.join("me", None, accepts=())
    store.join("a", resources())
    store.join("b", resources(cores=8))
    store.join("sub", None, accepts=("acks",))
    return Leadership(store)


def started(store: FakeStore, device_id: str) -> None:
    """The agent begins what it was assigned last."""
    assigned = store.assignments(device_id)[-1]
    store.say(StartedEntry(device_id, assigned.task_id, assigned.attempt))


def done(store: FakeStore, device_id: str, *, success: bool = True) -> None:
    assigned = store.assignments(device_id)[-1]
    store.say(DoneEntry(device_id, assigned.task_id, assigned.attempt, success, GOOD if success else BAD))


def state(store: FakeStore, task_id: str = "t") -> TaskState:
    return store.lives["sub", task_id].state


def statuses(store: FakeStore) -> list[str]:
    return [each.state for each in store.messages("sub") if isinstance(each, TaskStatus)]


# --- allocations ------------------------------------------------------------------------------


def test_a_request_is_answered_once_with_its_share_reserved(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    answer = store.answer("x")
    assert answer.request_id == "r-x"
    assert answer.allocation.fulfilled
    assert answer.allocation.requesting_device == "me"
    assert [share.device_id for share in answer.allocation.allocated_devices] == ["a"]
    assert store.allocations["x"].shares == answer.allocation.allocated_devices
    assert ("me", "allocation:x") in store.inbox
    assert not store.requests


def test_what_does_not_fit_is_refused_and_holds_nothing(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", Requirements(cpu=100, gpu=True))
    leads.rounds()
    answer = store.answer("x").allocation
    assert (answer.fulfilled, answer.allocated_devices, store.allocations) == (False, [], {})


def test_requests_at_the_same_time_share_what_there_is(store: FakeStore, leads: Leadership) -> None:
    for number in range(5):
        store.ask(f"x{number}", "me", Requirements(cpu=400, memory=10))
    leads.rounds()
    assert sum(answer.allocation.fulfilled for answer in store.answers) == 3
    assert len(store.answers) == 5


def test_a_device_that_moved_on_is_placed_upon_again(store: FakeStore, leads: Leadership) -> None:
    leads.round()
    store.leave("a")
    store.ask("x", "me", CORE)
    assert leads.round(follow=False).skipped
    assert not store.answers
    leads.rounds()
    assert store.answer("x").allocation.allocated_devices[0].device_id == "b"


def test_a_requester_the_mirror_does_not_know_yet_is_served(store: FakeStore, leads: Leadership) -> None:
    store.join("new", None, accepts=())
    store.ask("x", "new", CORE)
    leads.round(follow=False)
    assert store.answer("x").allocation.fulfilled


def test_a_requester_that_is_gone_gets_nothing_reserved(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    store.leave("me")
    leads.rounds(60)
    assert (store.answers, store.allocations, store.requests) == ([], {}, {})
    assert leads.counts.requests_dropped == 1


def test_a_request_is_not_refused_for_a_device_that_the_mirror_is_about_to_learn_of(
    store: FakeStore, leads: Leadership
) -> None:
    store.join("c", resources(gpu=True))
    entry = RequestEntry("x", "me", store.sessions["me"], Requirements(cpu=100, gpu=True))
    store.requests[f"{store.now_ms}-0"] = entry
    leads.round(follow=False)
    assert not store.answers
    leads.rounds(2)
    assert store.answer("x").allocation.fulfilled


def test_only_the_requester_can_release(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.enter_request(ReleaseEntry("sub", "x"))
    leads.rounds()
    assert "x" in store.allocations
    store.enter_request(ReleaseEntry("me", "x"))
    leads.rounds()
    assert not store.allocations
    assert not store.requests


def test_a_plain_client_at_its_limit_lets_its_oldest_go(store: FakeStore) -> None:
    store.join("me", None, accepts=())
    store.join("a", resources())
    leads = Leadership(store, SchedulerSettings(allocation_limit=2))
    for name in ("x1", "x2", "x3"):
        store.ask(name, "me", CORE)
        leads.rounds()
    assert list(store.allocations) == ["x2", "x3"]


def test_a_client_that_can_release_is_refused_at_its_limit(store: FakeStore) -> None:
    store.join("me", None, accepts=("acks",))
    store.join("a", resources())
    leads = Leadership(store, SchedulerSettings(allocation_limit=1))
    store.ask("x1", "me", CORE, releases=True)
    store.ask("x2", "me", CORE, releases=True)
    leads.rounds()
    assert list(store.allocations) == ["x1"]
    assert not store.answer("x2").allocation.fulfilled


def test_a_requester_that_closes_frees_at_once(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.leave("me", "closed")
    leads.round()
    assert not store.allocations
    assert not store.due


@pytest.mark.parametrize("reason", ["cut", "silent", ""])
def test_a_requester_that_was_cut_has_a_grace(store: FakeStore, leads: Leadership, reason: str) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.leave("me", reason)
    leads.round()
    store.now_ms += 29_000
    leads.round()
    assert "x" in store.allocations
    store.now_ms += 1_000
    leads.rounds()
    assert not store.allocations
    assert not store.due


def test_a_requester_that_comes_back_in_time_keeps_what_it_holds(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.leave("me")
    leads.round()
    store.join("me", None, accepts=())
    leads.rounds()
    store.now_ms += 60_000
    leads.rounds()
    assert "x" in store.allocations
    assert not store.due


def test_a_share_goes_with_its_device_and_an_empty_allocation_with_its_last(
    store: FakeStore, leads: Leadership
) -> None:
    store.ask("x", "me", Requirements(cpu=1000, memory=1000))
    leads.rounds()
    assert len(store.allocations["x"].shares) == 2
    store.leave("a")
    leads.round()
    assert [share.device_id for share in store.allocations["x"].shares] == ["b"]
    store.leave("b")
    leads.round()
    assert not store.allocations


def test_an_answer_that_found_nobody_is_sent_when_its_receiver_turns_up(
    store: FakeStore, leads: Leadership
) -> None:
    leads.round()
    store.ask("x", "me", Requirements(cpu=100, gpu=True))
    store.join("me", None, accepts=())
    leads.round(follow=False)
    assert not store.messages("me")
    leads.rounds()
    assert [type(each) for each in store.messages("me")] == [ResourceAllocation]


# --- tasks ------------------------------------------------------------------------------------


def test_a_task_goes_through_its_life_and_its_result_comes_home(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    assigned = store.assignments("a")[0]
    assert (assigned.task_id, assigned.submitter_id) == ("t", "sub")
    assert state(store) is TaskState.ASSIGNED
    started(store, "a")
    leads.rounds()
    assert state(store) is TaskState.RUNNING
    done(store, "a")
    leads.rounds()
    assert state(store) is TaskState.SUCCEEDED
    assert statuses(store) == ["assigned", "running", "succeeded"]
    result = [each for each in store.messages("sub") if isinstance(each, TaskResultMessage)]
    assert [each.result for each in result] == [msgspec.json.decode(GOOD)]
    assert ("sub", "task:t") in store.inbox
    assert (store.open, store.due, store.entries) == (set(), {}, {})


def test_only_devices_that_accept_tasks_run_them(store: FakeStore) -> None:
    store.join("plain", resources(cores=64), accepts=())
    leads = Leadership(store)
    store.submit(task("t"))
    leads.rounds()
    assert not store.assignments("plain")
    store.join("agent", resources())
    leads.rounds()
    assert store.assignments("agent")


def test_the_submitters_own_device_comes_last(store: FakeStore) -> None:
    store.join("sub", resources(cores=1))
    store.join("other", resources(cores=1))
    leads = Leadership(store)
    store.submit(task("t1"))
    store.submit(task("t2"))
    leads.rounds()
    assert [each.task_id for each in store.assignments("other")] == ["t1"]
    assert [each.task_id for each in store.assignments("sub")] == ["t2"]


def test_a_task_that_does_not_fit_waits_until_it_does(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("big", requirements=Requirements(cpu=800)))
    leads.rounds()
    store.submit(task("next", requirements=Requirements(cpu=800)))
    leads.rounds()
    assert [each.task_id for each in store.assignments("b")] == ["big"]
    done(store, "b")
    leads.rounds()
    assert [each.task_id for each in store.assignments("b")] == ["big", "next"]


def test_an_assignment_that_was_skipped_is_made_again(store: FakeStore, leads: Leadership) -> None:
    leads.round()
    store.leave("a")
    store.submit(task("t"))
    assert leads.round(follow=False).skipped
    assert not leads.matchmaker.ledger.holders("a")
    assert state(store) is TaskState.QUEUED
    leads.rounds()
    assert store.lives["sub", "t"].device_id == "b"
    assert store.lives["sub", "t"].attempts == 1


def test_a_lost_device_sends_its_tasks_back_to_the_queue(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.leave("a")
    leads.rounds()
    life = store.lives["sub", "t"]
    assert (life.state, life.device_id, life.attempts) == (TaskState.ASSIGNED, "b", 2)
    assert life.lost_with == ["a"]


def test_a_submitter_that_opted_in_hears_of_every_turn(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.leave("b")
    store.leave("a")
    leads.rounds()
    assert statuses(store) == ["assigned", "queued"]


def test_a_plain_submitter_hears_of_nothing_but_the_result(store: FakeStore) -> None:
    store.join("sub", None, accepts=())
    store.join("a", resources())
    leads = Leadership(store)
    store.submit(task("t"))
    leads.rounds()
    done(store, "a")
    leads.rounds()
    assert [type(each) for each in store.messages("sub")] == [TaskResultMessage]


def test_a_task_that_may_run_once_fails_with_its_device(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t", retries=0))
    leads.rounds()
    store.leave("a")
    leads.rounds()
    assert b'"code":"LOST"' in store.outcomes["sub", "t"][0]


def test_a_task_lost_with_too_many_devices_is_poison(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    for name in ("a", "b", "c"):
        if name == "c":
            store.join("c", resources())
        leads.rounds()
        store.leave(store.lives["sub", "t"].device_id)
        leads.rounds()
    assert b'"code":"POISON"' in store.outcomes["sub", "t"][0]


def test_a_result_counts_from_the_current_attempt_only(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    old = store.assignments("a")[0].attempt
    store.leave("a")
    leads.rounds()
    store.say(DoneEntry("a", "t", old, True, GOOD))
    store.say(DoneEntry("a", "t", store.assignments("b")[0].attempt, True, GOOD))
    leads.rounds()
    assert not store.outcomes
    assert not store.entries
    done(store, "b", success=False)
    done(store, "b")
    leads.rounds()
    assert store.outcomes["sub", "t"] == [BAD]


def test_progress_goes_to_the_submitter_as_it_is(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    frame = b'{"type":"task_progress","taskId":"t","progress":0.5}'
    store.say(ProgressEntry("a", "t", store.assignments("a")[0].attempt, frame))
    store.say(ProgressEntry("a", "t", "other", frame))
    leads.rounds()
    assert [each.frame for each in store.mail if each.device_id == "sub"].count(frame) == 1


def test_a_queued_task_is_cancelled_at_once(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t", requirements=Requirements(cpu=9900), queue_timeout_s=100))
    leads.rounds()
    store.cancel(("sub", "t"))
    leads.rounds()
    assert state(store) is TaskState.CANCELLED


def test_a_running_task_keeps_its_share_until_its_agent_ended_it(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.cancel(("sub", "t"))
    leads.rounds()
    assert isinstance(store.messages("a")[-1], TaskCancelled)
    assert leads.matchmaker.ledger.holders("a")
    done(store, "a", success=False)
    leads.rounds()
    assert state(store) is TaskState.CANCELLED
    assert not leads.matchmaker.ledger.holders("a")


def test_a_cancelled_attempt_whose_agent_is_silent_is_given_up(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.cancel(("sub", "t"))
    leads.rounds()
    store.now_ms += 10_000
    leads.rounds()
    assert state(store) is TaskState.CANCELLED
    assert not leads.matchmaker.ledger.holders("a")


def test_a_task_cancelled_before_it_was_seen_never_runs(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    store.cancel(("sub", "t"))
    leads.rounds()
    assert state(store) is TaskState.CANCELLED
    assert not store.assignments("a")


def test_a_task_that_outruns_its_timeout_is_stopped(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t", timeout_s=5))
    leads.rounds()
    started(store, "a")
    leads.rounds()
    store.now_ms += 15_000
    leads.rounds()
    assert store.messages("a")[-1].reason == "timeout"
    done(store, "a", success=False)
    leads.rounds()
    assert b'"code":"TIMEOUT"' in store.outcomes["sub", "t"][0]


def test_a_task_that_waits_too_long_expires(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t", requirements=Requirements(cpu=9900), queue_timeout_s=100))
    leads.rounds()
    store.now_ms += 99_000
    leads.rounds()
    assert store.open
    store.now_ms += 1_000
    leads.rounds()
    assert state(store) is TaskState.EXPIRED


def test_what_no_device_could_ever_run_fails_with_the_reason(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t", requirements=Requirements(cpu=9900)))
    leads.rounds()
    store.now_ms += 19_000
    leads.rounds()
    assert store.open
    store.now_ms += 1_500
    leads.rounds()
    outcome = msgspec.json.decode(store.outcomes["sub", "t"][0])
    assert outcome["code"] == "INFEASIBLE"
    assert "of 2 devices 2 (2 cpu) are too small" in outcome["error"]


def test_an_agent_that_comes_back_keeps_what_it_still_runs(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t1"))
    store.submit(task("t2"))
    leads.rounds()
    first, second = store.assignments("a")
    store.join("a", resources(), running=[("t1", first.attempt), ("old", "fe-1")])
    leads.rounds()
    assert store.lives["sub", "t1"].attempt == first.attempt
    assert store.lives["sub", "t1"].session == store.sessions["a"].split()[0]
    assert store.lives["sub", "t2"].attempt != second.attempt
    stopped = [each for each in store.messages("a") if isinstance(each, TaskCancelled)]
    assert [each.attempt for each in stopped] == ["fe-1"]


def test_a_reconcile_of_an_older_session_changes_nothing(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    attempt = store.assignments("a")[0].attempt
    store.join("a", resources(), running=[])
    store.join("a", resources(), running=[("t", attempt)])
    leads.rounds(60)
    assert store.lives["sub", "t"].attempt == attempt
    assert not store.entries


def test_a_task_assigned_before_the_reconcile_of_its_session_was_read_is_not_lost(
    store: FakeStore, leads: Leadership
) -> None:
    leads.round()
    store.submit(task("t"))
    submitted = store.entries.popitem()
    store.join("a", resources())
    late = store.entries.popitem()
    store.entries[submitted[0]] = submitted[1]
    leads.rounds()
    store.entries[late[0]] = late[1]
    leads.rounds()
    assert store.lives["sub", "t"].attempts == 1


def test_an_assignment_that_nobody_takes_up_is_sent_again(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.now_ms += 10_000
    leads.rounds()
    first, second = store.assignments("a")
    assert first == second


# --- a new leader -----------------------------------------------------------------------------


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
    done(store, "a")
    leads.rounds()
    assert state(store, "t1") is TaskState.SUCCEEDED
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
