"""When a recruit is worth having, and what becomes of one that somebody ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.recruit import CannotBecome, Deserted, Recruit
from agent.reserve import KEPT_S, QUIET_S, Reserve


class Reserved:
    """Stands in for a process that waits."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.is_dismissed = False

    def dismiss(self) -> None:
        self.is_dismissed = True


@pytest.fixture
def reserve() -> Reserve:
    return Reserve(lambda: Reserved(7))  # type: ignore[arg-type,return-value]


def after_two_in_a_row(reserve: Reserve) -> None:
    for now_s in (10.0, 10.1):
        reserve.take(now_s=now_s)
    reserve.tend(now_s=10.11)


def test_one_task_alone_is_not_worth_a_recruit(reserve: Reserve) -> None:
    assert reserve.take(now_s=10.0) is None
    assert reserve.patience_s(now_s=10.0) is None
    reserve.tend(now_s=10.02)
    assert reserve.pid is None


def test_the_second_of_a_row_is(reserve: Reserve) -> None:
    after_two_in_a_row(reserve)
    assert reserve.pid == 7
    assert reserve.take(now_s=10.2) is not None
    assert reserve.pid is None
    assert reserve.patience_s(now_s=10.2) == QUIET_S


def test_who_waits_too_long_is_let_go(reserve: Reserve) -> None:
    after_two_in_a_row(reserve)
    reserve.tend(now_s=10.3)
    assert reserve.patience_s(now_s=10.3) == pytest.approx(KEPT_S - 0.2)
    reserve.tend(now_s=10.1 + KEPT_S)
    assert (reserve.pid, reserve.patience_s(now_s=11.0)) == (None, None)


def test_who_was_ended_is_not_replaced_until_tasks_come_in_a_row_again(reserve: Reserve) -> None:
    after_two_in_a_row(reserve)
    reserve.lose(7)
    reserve.tend(now_s=10.2)
    assert reserve.pid is None


def test_no_room_for_a_process_is_no_reason_to_try_again_at_once() -> None:
    def full() -> Recruit:
        raise BlockingIOError

    reserve = Reserve(full)
    after_two_in_a_row(reserve)
    assert reserve.patience_s(now_s=10.2) is None


@pytest.fixture
def recruit() -> Iterator[Recruit]:
    made = Recruit([])
    yield made
    with suppress(ProcessLookupError):
        made.dismiss()


def order(folder: Path, *argv: str) -> dict[str, object]:
    return {"folder": str(folder), "argv": list(argv), "env": {}, "limits": {}, "cores": []}


def test_one_that_is_gone_already_says_so(recruit: Recruit, tmp_path: Path) -> None:
    os.kill(recruit.pid, signal.SIGKILL)
    os.waitid(os.P_PID, recruit.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(Deserted):
        recruit.become(order(tmp_path, "true"), [], None)


def test_what_cannot_be_started_leaves_no_process(recruit: Recruit, tmp_path: Path) -> None:
    with pytest.raises(CannotBecome, match="/nowhere: No such file"):
        recruit.become(order(tmp_path, "/nowhere"), [], None)
    with pytest.raises(ChildProcessError):
        os.waitpid(recruit.pid, os.WNOHANG)
