"""Agents that are killed, or stand still: their tasks run elsewhere, and each has one result."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rpn.cli.agent_door import ask
from tests.chaos.crowd import Submitter
from tests.support.cluster import Cluster, clean_environment, running, wait_for, wait_gone

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240), pytest.mark.soak]

TOML = """
[commands.hold]
argv = ["sh", "-c", "read -r seconds; sleep $seconds; echo held"]
"""
STILL_S = 60.0
"""long after the pool has given up an agent that says nothing"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "data") as cluster:
        ask(tmp_path / "data" / "agent", {"do": "pause"})  # its own agent is not the one we want
        yield cluster


@pytest.fixture
def submitter(cluster: Cluster) -> Iterator[Submitter]:
    submitter = Submitter(cluster.urls, accepts=["acks", "events"])
    submitter.start()
    yield submitter
    submitter.end()


@contextmanager
def agent(cluster: Cluster, data_dir: Path) -> Iterator[psutil.Process]:
    """One more device of the pool; its commands are in `data_dir`."""
    data_dir.mkdir()
    (data_dir / "agent.toml").write_text(TOML)
    server = cluster.urls[0].replace("http", "ws") + "/ws"
    settings = clean_environment({"RPN_SERVER": server, "RPN_DATA_DIR": data_dir, "RPN_LOG_LEVEL": "warning"})
    process = subprocess.Popen([sys.executable, "-P", "-m", "agent"], env=settings)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def is_online(data_dir: Path) -> bool:
    return (data_dir / "agent.sock").exists() and bool(ask(data_dir, {"do": "status"})["online"])


def running_on(data_dir: Path) -> int:
    return int(ask(data_dir, {"do": "status"})["running"])


def submit_and_wait_running(submitter: Submitter, seconds: float, count: int, on: Path) -> list[str]:
    before = running_on(on)
    tasks = [submitter.submit({"command": "hold", "input": seconds}, memory=64) for _ in range(count)]
    wait_for(lambda: running_on(on) == before + count, within_s=20, what=f"{count} tasks run")
    return tasks


def test_what_is_asked_of_a_paused_device_waits_until_it_is_resumed(
    cluster: Cluster, submitter: Submitter
) -> None:
    data_dir = cluster.data_dir / "agent"
    needs_nothing = submitter.submit({"command": "echo", "input": 1})
    submitter.tasks[needs_nothing]["task"]["requirements"] = {}
    submitter.submit({"command": "echo", "input": 2})
    time.sleep(1.5)  # it would be done by then
    assert not submitter.outcomes
    ask(data_dir, {"do": "resume"})
    submitter.wait_all_done(within_s=20)
    assert all(outcome["success"] for [outcome] in submitter.outcomes.values())


def test_a_task_is_handed_back_and_runs_elsewhere_when_its_owner_wants_the_device(
    cluster: Cluster, submitter: Submitter, tmp_path: Path
) -> None:
    with agent(cluster, tmp_path / "a"):
        wait_for(lambda: is_online(tmp_path / "a"), within_s=20, what="the first agent is there")
        ask(tmp_path / "a", {"do": "policy", "changes": {"when_withheld": "return"}})
        submit_and_wait_running(submitter, 3, 4, tmp_path / "a")
        with agent(cluster, tmp_path / "b"):
            wait_for(lambda: is_online(tmp_path / "b"), within_s=20, what="the second agent is there")
            ask(tmp_path / "a", {"do": "pause"})
            wait_for(lambda: running_on(tmp_path / "b") == 4, within_s=10, what="they run elsewhere")
            submitter.wait_all_done(within_s=30)
    assert [[o["success"] for o in outcomes] for outcomes in submitter.outcomes.values()] == [[True]] * 4


def test_ten_tasks_of_a_killed_agent_run_elsewhere_and_leave_no_orphan(
    cluster: Cluster, submitter: Submitter, tmp_path: Path
) -> None:
    with agent(cluster, tmp_path / "a") as first:
        wait_for(lambda: is_online(tmp_path / "a"), within_s=20, what="the first agent is there")
        submit_and_wait_running(submitter, 5, 10, tmp_path / "a")
        wait_for(lambda: len(first.children(recursive=True)) > 20, within_s=10, what="each has its process")
        family = first.children(recursive=True)
        with agent(cluster, tmp_path / "b"):
            wait_for(lambda: is_online(tmp_path / "b"), within_s=20, what="the second agent is there")
            first.kill()
            wait_gone(family, within_s=2)
            submitter.wait_all_done(within_s=60)
            time.sleep(1)  # a second outcome would come now
    assert [[o["success"] for o in outcomes] for outcomes in submitter.outcomes.values()] == [[True]] * 10
    assert not list((tmp_path / "a" / "agent-work").iterdir())


def test_an_agent_that_stood_still_has_its_old_attempts_killed_and_its_late_results_refused(
    cluster: Cluster, submitter: Submitter, tmp_path: Path
) -> None:
    with agent(cluster, tmp_path / "a") as first:
        wait_for(lambda: is_online(tmp_path / "a"), within_s=20, what="the first agent is there")
        submit_and_wait_running(submitter, STILL_S / 2, 3, tmp_path / "a")
        long = submit_and_wait_running(submitter, STILL_S * 2, 3, tmp_path / "a")
        with agent(cluster, tmp_path / "b"):
            wait_for(lambda: is_online(tmp_path / "b"), within_s=20, what="the second agent is there")
            first.suspend()
            time.sleep(STILL_S)
            wait_for(lambda: running_on(tmp_path / "b") == 3, within_s=30, what="the long ones run elsewhere")
            first.resume()
            wait_for(
                lambda: not running_on(tmp_path / "a"), within_s=10, what="superseded attempts are killed"
            )
            for task in long:
                submitter.say({"type": "task_cancel", "taskId": task})
            submitter.wait_all_done(within_s=30)
            time.sleep(1)  # a second outcome would come now
    assert all(len(outcomes) == 1 for outcomes in submitter.outcomes.values())
