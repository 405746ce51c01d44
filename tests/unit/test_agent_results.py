"""Results wait, in memory and on disk, until somebody has them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent import results
from agent.results import RESEND_S, WORTH_WRITING_S, Results
from rpn.messages import FinishedAttempt
from rpn.model import TaskResult
from tests.support.patience import PATIENCE_S


def finished(attempt: str, result: object = 1) -> FinishedAttempt:
    return FinishedAttempt(f"task-{attempt}", attempt, TaskResult(success=True, result=result))


def test_a_result_outlives_the_process(tmp_path: Path) -> None:
    Results(tmp_path).keep(finished("a/../b \\ é"), now_s=0, took_s=WORTH_WRITING_S)
    again, _ = Results(tmp_path).for_register(now_s=0)
    assert again == [finished("a/../b \\ é")]


def test_an_acknowledged_result_is_gone_for_good(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    kept.keep(finished("a"), now_s=0)
    kept.acknowledge(["a", "never heard of"])
    assert "a" not in kept
    assert len(Results(tmp_path)) == 0


def test_an_unacknowledged_result_is_sent_again_after_a_while(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    kept.keep(finished("a"), now_s=0)
    assert kept.message("a", now_s=100).attempt == "a"
    assert kept.overdue(now_s=100 + RESEND_S / 2) == []
    assert kept.overdue(now_s=100 + RESEND_S) == ["a"]


def test_a_register_lists_what_it_can_carry_and_holds_the_rest(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    for number in range(5):
        kept.keep(finished(f"{number}", "x" * 200_000), now_s=0)
    listed, later = kept.for_register(now_s=0)
    assert [attempt.attempt for attempt in listed] == ["0", "1"]
    assert [attempt.attempt for attempt in later] == ["2", "3", "4"]
    assert kept.overdue(now_s=0) == ["2", "3", "4"]


def test_there_is_an_end_to_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULT_LIMIT", 2)
    kept = Results(tmp_path)
    for attempt in "abc":
        kept.keep(finished(attempt), now_s=0)
    assert [attempt in kept for attempt in "abc"] == [False, True, True]


def written(folder: Path) -> int:
    return len(list(folder.glob("*.json")))


async def test_a_short_attempts_result_is_written_only_if_it_has_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "WRITE_AFTER_S", 0.01)
    kept = Results(tmp_path)
    now_s = asyncio.get_running_loop().time()
    kept.keep(finished("acknowledged"), now_s=now_s)
    kept.keep(finished("waiting"), now_s=now_s)
    kept.acknowledge(["acknowledged"])
    assert written(tmp_path) == 0
    job = asyncio.create_task(kept.run())
    async with asyncio.timeout(PATIENCE_S):
        while not written(tmp_path):
            await asyncio.sleep(0.001)
    assert "waiting" in Results(tmp_path)
    kept.keep(finished("last"), now_s=now_s)
    job.cancel()
    await asyncio.wait([job])
    assert written(tmp_path) == 2  # the end of the agent is no reason to lose one


def test_a_cut_way_home_has_everything_written(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    kept.keep(finished("a"), now_s=0)
    kept.for_register(now_s=0)
    assert "a" in Results(tmp_path)
    kept.acknowledge(["a"])
    assert written(tmp_path) == 0


def test_a_broken_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    assert len(Results(tmp_path)) == 0
