"""What becomes of tasks, over a store in memory that skips as the real one does."""

from __future__ import annotations

import msgspec

from rpn.codec import encode
from rpn.messages import TaskCancelled, TaskProgress, TaskResultMessage
from rpn.model import Requirements, TaskState
from rpn.store.records import DoneEntry, ProgressEntry
from scheduler import life as lives
from tests.support.leadership import Leadership
from tests.support.scheduling import BAD, GOOD, RETURNED, FakeStore, resources, task


def test_a_task_goes_through_its_life_and_its_result_comes_home(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    assigned = store.assignments("a")[0]
    assert (assigned.task_id, assigned.submitter_id) == ("t", "sub")
    assert store.state() is TaskState.ASSIGNED
    store.start("a")
    leads.rounds()
    assert store.state() is TaskState.RUNNING
    store.finish("a")
    leads.rounds()
    assert store.state() is TaskState.SUCCEEDED
    assert store.statuses() == ["assigned", "running", "succeeded"]
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
    store.finish("b")
    leads.rounds()
    assert [each.task_id for each in store.assignments("b")] == ["big", "next"]


def test_an_assignment_that_was_skipped_is_made_again(store: FakeStore, leads: Leadership) -> None:
    leads.round()
    store.leave("a")
    store.submit(task("t"))
    assert leads.round(follow=False)
    assert not leads.matchmaker.ledger.holders("a")
    assert store.state() is TaskState.QUEUED
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
    assert life.lost_with == ("a",)


def test_a_submitter_that_wants_results_alone_hears_of_nothing_else(store: FakeStore) -> None:
    store.join("a", resources())
    store.join("sub", None, accepts=("acks", "results"))
    leads = Leadership(store)
    store.submit(task("t"))
    store.submit(task("waits", requirements=Requirements(cpu=9900)))
    leads.rounds()
    store.start("a")
    leads.rounds()
    store.finish("a")
    leads.rounds()
    assert [type(each) for each in store.messages("sub")] == [TaskResultMessage]


def test_a_submitter_that_opted_in_hears_of_every_turn(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.leave("b")
    store.leave("a")
    leads.rounds()
    assert store.statuses() == ["assigned", "queued", "queued"]
    assert [each.reason and each.reason.code for each in store.messages("sub")] == [None, None, "INFEASIBLE"]


def test_a_plain_submitter_hears_of_nothing_but_the_result(store: FakeStore) -> None:
    store.join("sub", None, accepts=())
    store.join("a", resources())
    leads = Leadership(store)
    store.submit(task("t"))
    leads.rounds()
    store.finish("a")
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
        store.now_ms += lives.BACKOFF_MS
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
    store.finish("b", success=False)
    store.finish("b")
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
    assert store.state() is TaskState.CANCELLED


def test_a_running_task_keeps_its_share_until_its_agent_ended_it(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.cancel(("sub", "t"))
    leads.rounds()
    assert isinstance(store.messages("a")[-1], TaskCancelled)
    assert leads.matchmaker.ledger.holders("a")
    store.finish("a", success=False)
    leads.rounds()
    assert store.state() is TaskState.CANCELLED
    assert not leads.matchmaker.ledger.holders("a")


def test_a_cancelled_attempt_whose_agent_is_silent_is_given_up(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.cancel(("sub", "t"))
    leads.rounds()
    store.now_ms += 10_000
    leads.rounds()
    assert store.state() is TaskState.CANCELLED
    assert not leads.matchmaker.ledger.holders("a")


def test_a_task_cancelled_before_it_was_seen_never_runs(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    store.cancel(("sub", "t"))
    leads.rounds()
    assert store.state() is TaskState.CANCELLED
    assert not store.assignments("a")


def test_a_task_that_outruns_its_timeout_is_stopped(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t", timeout_s=5))
    leads.rounds()
    store.start("a")
    leads.rounds()
    store.now_ms += 15_000
    leads.rounds()
    assert store.messages("a")[-1].reason == "timeout"
    store.finish("a", success=False)
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
    assert store.state() is TaskState.EXPIRED


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
    assert "of 4 devices 4 (2 unreported, 2 cpu) cannot hold it" in outcome["error"]


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


def test_a_task_that_its_device_hands_back_runs_elsewhere(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.report("a", resources(used=100))
    store.finish("a", success=False, outcome=RETURNED)
    leads.rounds()
    assert store.lives["sub", "t"].device_id == "b"
    assert not [each for each in store.messages("sub") if isinstance(each, TaskResultMessage)]


def test_a_task_that_is_lost_again_rests_before_its_next_attempt(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    for _ in range(2):
        leads.rounds()
        store.leave(store.lives["sub", "t"].device_id)
    store.join("c", resources())
    leads.rounds()
    assert store.state() is TaskState.QUEUED
    store.now_ms += lives.BACKOFF_MS
    leads.rounds()
    assert store.lives["sub", "t"].device_id == "c"


def test_a_task_says_how_many_devices_it_may_be_lost_with(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t", max_attempts=1))
    leads.rounds()
    store.leave(store.lives["sub", "t"].device_id)
    leads.rounds()
    assert store.state() is TaskState.FAILED
    assert b"POISON" in store.outcomes["sub", "t"][0]


def test_a_new_leader_goes_on_counting_for_how_long_a_task_is_infeasible(
    store: FakeStore, leads: Leadership
) -> None:
    store.submit(task("t", requirements=Requirements(cpu=1_000_000)))
    leads.rounds(2, after_ms=300)
    store.now_ms += int(leads.settings.infeasible_limit_s * 1000) - 400
    leads.take_over()
    leads.rounds(2, after_ms=300)
    assert store.state() is TaskState.FAILED
    leads.rounds(2, after_ms=300)
    assert store.due == {}


def test_a_cancel_reaches_all_that_belongs_to_a_task_in_a_circle_too(
    store: FakeStore, leads: Leadership
) -> None:
    store.submit(task("t", parent_id="u"))
    store.submit(task("u", parent_id="t"))
    store.submit(task("v", parent_id="u", requirements=Requirements(cpu=1_000_000)))
    leads.round()
    store.cancel(("sub", "t"))
    store.now_ms += 50
    leads.round()
    assert [store.lives["sub", each].ending for each in "tu"] == ["cancelled", "cancelled"]
    assert store.state("v") is TaskState.CANCELLED


def test_progress_and_log_are_kept_for_whoever_asks_later(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    attempt = store.lives["sub", "t"].attempt
    store.say(ProgressEntry("a", "t", attempt, encode(TaskProgress(task_id="t")), 0.25, "half"))
    leads.rounds()
    assert store.notes == [(("sub", "t"), f"{attempt} 0.25", "half")]
