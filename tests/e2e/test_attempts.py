"""An attempt belongs to its device: what others say of it, or anybody of an older one, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster, running
from tests.support.ws import Client, Message, fresh_id, resources


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("attempts")) as cluster:
        yield cluster


def worker(cluster: Cluster, label: str) -> Client:
    """A device that is given tasks and runs them as the test says."""
    client = Client(cluster.urls[0], device_id=fresh_id(label))
    client.register(accepts=["tasks", "acks"], labels={"is": label})
    client.update(resources())
    return client


def submitter(cluster: Cluster) -> Client:
    client = Client(cluster.urls[0])
    client.register()
    return client


def done(assigned: Message, result: str) -> Message:
    outcome = {"success": True, "result": result}
    return {
        "type": "task_done",
        "taskId": assigned["taskId"],
        "attempt": assigned["attempt"],
        "result": outcome,
    }


def test_a_task_of_another_device_can_be_neither_started_nor_finished(cluster: Cluster) -> None:
    owner, thief, asks = worker(cluster, "owner"), worker(cluster, "thief"), submitter(cluster)
    asks.submit("t", {"command": "any"}, requirements={"cpu": 1, "labels": {"is": "owner"}})
    assigned = owner.expect("task_assign")
    thief.send({"type": "task_started", "taskId": "t", "attempt": assigned["attempt"]})
    thief.send(done(assigned, "stolen"))
    thief.send({"type": "ping", "requestId": "after"})
    thief.expect("pong")
    owner.send(done(assigned, "earned"))
    assert asks.result_of("t")["result"] == "earned"
    assert len([each for each in asks.heard if each["type"] == "task_result"]) == 1


def test_an_attempt_that_never_was_finishes_nothing(cluster: Cluster) -> None:
    owner, asks = worker(cluster, "lonely"), submitter(cluster)
    asks.submit("t", {"command": "any"}, requirements={"cpu": 1, "labels": {"is": "lonely"}})
    assigned = owner.expect("task_assign")
    owner.send(done({**assigned, "attempt": "another"}, "made up"))
    owner.send(done(assigned, "earned"))
    assert asks.result_of("t")["result"] == "earned"


def test_an_old_attempt_is_told_off_and_the_new_one_counts(cluster: Cluster) -> None:
    owner, asks = worker(cluster, "restless"), submitter(cluster)
    asks.submit("t", {"command": "any"}, requirements={"cpu": 1, "labels": {"is": "restless"}})
    old = owner.expect("task_assign")
    owner.close()
    again = Client(cluster.urls[0], device_id=owner.device_id)  # it has lost all memory of the task
    again.register(accepts=["tasks", "acks"], labels={"is": "restless"}, running=[], finished=[])
    again.update(resources())
    new = again.expect("task_assign", within_s=15)
    assert new["attempt"] != old["attempt"]
    again.send(done(old, "late"))
    again.send(done(new, "in time"))
    assert asks.result_of("t")["result"] == "in time"
