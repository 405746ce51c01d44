"""kill -9 of any process of `rpn up`: the pool heals, and nothing accepted is lost or done twice."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.chaos.crowd import Submitter, crowd
from tests.chaos.probe import wait_works
from tests.support.cluster import ROLES, Cluster, running, wait_for, wait_gone
from tests.support.patience import PATIENCE_S
from tests.support.ws import Client, Message

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "data", gateways=3) as cluster:
        yield cluster


def pids(cluster: Cluster, roles: list[str]) -> dict[str, set[int]]:
    return {role: {process.pid for process in cluster.of_role(role)} for role in roles}


@pytest.mark.parametrize("victim", ROLES)
def test_a_killed_process_costs_nothing_that_was_accepted(cluster: Cluster, victim: str) -> None:
    rest = [role for role in ROLES if role != victim]
    before = pids(cluster, rest)
    with crowd(cluster.urls) as people:
        stream = threading.Thread(target=people.submit_for, args=(6,))
        stream.start()
        wait_for(lambda: len(people.submitter.outcomes) >= 10, what="the first outcomes")
        killed = cluster.kill(victim)
        took_s = wait_works(cluster.urls)
        stream.join()
        print(f"after kill -9 of {victim} everything worked again within {took_s:.1f} s")
        people.submitter.wait_all_done()
        time.sleep(1)  # a second outcome would come now
        people.submitter.check_one_outcome_each()
        failed = [o for outcomes in people.submitter.outcomes.values() for o in outcomes if not o["success"]]
        assert not failed, failed[:3]
        people.check_nobody_was_reported_left()
    assert pids(cluster, rest) == before, "the rest was not restarted"
    assert killed.pid not in {process.pid for process in cluster.of_role(victim)}


def test_a_task_whose_agent_was_killed_is_run_again(cluster: Cluster) -> None:
    submitter = Submitter(cluster.urls, accepts=["acks", "events"])
    submitter.start()
    try:
        task_id = submitter.submit({"command": "sleep", "input": {"seconds": 3}})
        wait_for(lambda: _running(submitter, task_id), what="the task runs")
        task_processes = cluster.of_role("agent")[0].children(recursive=True)
        killed = cluster.kill("agent")
        wait_gone([killed, *task_processes])
        submitter.wait_all_done()
        time.sleep(4)  # an orphan of the first run would report now
        assert [outcome["success"] for outcome in submitter.outcomes[task_id]] == [True]
    finally:
        submitter.end()
    wait_works(cluster.urls)


def _running(submitter: Submitter, task_id: str) -> bool:
    return any(
        m["type"] == "task_status" and m["taskId"] == task_id and m["state"] == "running"
        for m in list(submitter.heard)
    )


def test_killing_rpn_up_leaves_nothing_behind_and_the_next_one_starts(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "data", gateways=2).start()
    everyone = cluster.processes()
    assert {"gateway", "scheduler", "agent", "store"} <= _roles(everyone, cluster)
    assert cluster.up is not None
    cluster.up.send_signal(signal.SIGKILL)
    cluster.up.wait(PATIENCE_S)
    try:
        wait_gone(everyone)
    finally:
        cluster.end_hard(everyone)
    cluster.start()
    try:
        wait_works(cluster.urls)
    except BaseException:
        cluster.end_hard()
        raise
    cluster.stop()


def _roles(everyone: list[psutil.Process], cluster: Cluster) -> set[str]:
    return {role for role in ROLES for process in cluster.of_role(role) if process in everyone}


def test_a_stop_closes_every_socket_with_1001(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "data", gateways=3).start()
    try:
        clients = [Client(url) for url in cluster.urls for _ in range(3)]
        for i, client in enumerate(clients):
            opted_in: Message = {"accepts": ["acks"]} if i % 3 == 0 else {}
            client.register(**opted_in)
    except BaseException:
        cluster.end_hard()
        raise
    cluster.stop()
    assert [client.expect_close()[0] for client in clients] == [1001] * len(clients)
    for client in clients:
        announced = client.of_kind("server_draining")
        assert len(announced) == (not client.plain)
        assert all(message["reconnectAfterMs"] >= 0 for message in announced)
