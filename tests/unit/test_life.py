"""The states of a task, and the ways between them."""

from __future__ import annotations

import msgspec
import pytest

from rpn.model import TaskState
from rpn.settings import SchedulerSettings
from rpn.store.records import TaskLife
from scheduler import life as lives
from tests.support.scheduling import task

QUEUED = TaskLife(TaskState.QUEUED, 1000)
SETTINGS = SchedulerSettings()


def assigned(life: TaskLife = QUEUED, device_id: str = "a") -> TaskLife:
    return lives.assign(life, attempt="1-1", device_id=device_id, session="s", now_ms=2000).life


def code(turn: lives.Turn) -> object:
    return msgspec.json.decode(turn.outcome)["code"]


def test_an_assigned_task_counts_its_attempt_and_knows_its_device() -> None:
    life = assigned()
    assert (life.state, life.attempts, life.device_id) == (TaskState.ASSIGNED, 1, "a")
    assert lives.accepts(life, "a", "1-1")
    assert not lives.accepts(life, "b", "1-1")
    assert not lives.accepts(life, "a", "1-0")


def test_a_lost_attempt_waits_anew_with_its_old_age() -> None:
    turn = lives.lose(task("t"), assigned(), now_ms=9000, max_attempts=3)
    assert (turn.life.state, turn.life.submitted_ms, lives.queued_ms(turn.life)) == (
        TaskState.QUEUED,
        1000,
        9000,
    )
    assert turn.life.lost_with == ("a",)
    assert not lives.active(turn.life)


@pytest.mark.parametrize(
    ("retries", "max_attempts", "ends"),
    [(0, 3, "LOST"), (1, 3, "LOST"), (None, 3, "POISON"), (9, 2, "POISON"), (0, 1, "LOST")],
)
def test_re_runs_have_two_limits(retries: int | None, max_attempts: int, ends: str) -> None:
    life = QUEUED
    for number in range(10):
        turn = lives.lose(
            task("t", retries=retries), assigned(life, f"d{number}"), now_ms=1, max_attempts=max_attempts
        )
        if turn.life.state.final:
            break
        life = turn.life
    assert code(turn) == ends
    assert number == (min(retries, max_attempts - 1) if retries is not None else max_attempts - 1)


def test_a_success_counts_even_if_it_was_to_be_stopped() -> None:
    stopped = lives.stop(assigned(), lives.CANCELLED).life
    assert lives.finish(stopped, success=True, outcome=b"{}", now_ms=1).life.state is TaskState.SUCCEEDED
    assert lives.finish(stopped, success=False, outcome=b"{}", now_ms=1).life.state is TaskState.CANCELLED


def test_a_stopped_attempt_ends_for_the_first_reason() -> None:
    life = lives.stop(lives.stop(assigned(), lives.TIMEOUT).life, lives.CANCELLED).life
    assert code(lives.give_up(life, now_ms=1)) == "TIMEOUT"
    assert code(lives.lose(task("t"), life, now_ms=1, max_attempts=3)) == "TIMEOUT"


def test_alarms_follow_the_state() -> None:
    limited = task("t", timeout_s=60, queue_timeout_s=5)
    running = lives.start(assigned(), now_ms=3000).life
    stopped = lives.stop(running, lives.CANCELLED).life

    def alarm(life: TaskLife, of: object = limited) -> int | None:
        return lives.alarm_ms(of, life, SETTINGS, now_ms=50_000)  # type: ignore[arg-type]

    assert alarm(QUEUED) == 6000
    assert alarm(assigned()) == 72_000
    assert alarm(running) == 73_000
    assert alarm(stopped) == 60_000
    assert alarm(QUEUED, task("t")) == 3_601_000
    assert alarm(running, task("t")) is None


@pytest.mark.parametrize("state", [state for state in TaskState if state.final])
def test_a_final_state_never_changes(state: TaskState) -> None:
    life = msgspec.structs.replace(assigned(), state=state)
    with pytest.raises(ValueError, match="does not go from"):
        lives.finish(life, success=True, outcome=b"", now_ms=1)
    with pytest.raises(ValueError, match="does not go from"):
        lives.cancel(life, now_ms=1)


def test_a_task_that_waits_cannot_finish_or_start() -> None:
    with pytest.raises(ValueError, match="from queued to succeeded"):
        lives.finish(QUEUED, success=True, outcome=b"", now_ms=1)
    with pytest.raises(ValueError, match="from queued to running"):
        lives.start(QUEUED, now_ms=1)


def test_what_an_owner_hands_back_before_it_began_does_not_count() -> None:
    turn = lives.take_back(task("t", retries=0), assigned(), now_ms=9000)
    assert (turn.life.state, turn.life.attempts, turn.life.lost_with) == (TaskState.QUEUED, 0, ())


@pytest.mark.parametrize(("retries", "state"), [(None, TaskState.QUEUED), (0, TaskState.FAILED)])
def test_what_an_owner_hands_back_when_it_had_begun_counts(retries: int | None, state: TaskState) -> None:
    running = lives.start(assigned(), now_ms=3000).life
    turn = lives.take_back(task("t", retries=retries), running, now_ms=9000)
    assert (turn.life.state, turn.life.attempts) == (state, 1)
