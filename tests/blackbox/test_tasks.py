"""Tasks: each runs on one device, has one outcome, and its submitter alone hears it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.blackbox.conftest import Pool
from tests.blackbox.shapes import check_result
from tests.support.cluster import wait_for
from tests.support.ws import Client, Message, fresh_id, resources, task_is

OURS = {"cpu": 1, "memory": 1_000_000}
"""More memory than this machine has: only a device of the test can hold it."""


def echo(value: Any) -> Message:
    return {"command": "echo", "input": value}


def sleep(seconds: float) -> Message:
    return {"command": "sleep", "input": {"seconds": seconds}}


def worker(pool: Pool, seen_by: Client) -> Client:
    """A device that runs tasks by the test's hand."""
    device = pool.join(accepts=["tasks", "acks"], running=[])
    device.update(resources())
    seen_by.expect("resource_update", lambda m: m["deviceId"] == device.device_id)
    return device


def done(agent: Client, assigned: Message, result: Message) -> None:
    report = {"taskId": assigned["taskId"], "attempt": assigned["attempt"], "result": result}
    agent.send({"type": "task_done", **report})
    agent.expect("ack", lambda m: assigned["attempt"] in m["ids"])


@pytest.mark.across
@pytest.mark.parametrize("value", ["...", {"deep": [1, 2.5, None, "ä💻"]}, [], None, ""], ids=repr)
def test_echo_answers_its_input(pool: Pool, value: Any) -> None:
    client = pool.join()
    task_id = fresh_id("task")
    client.submit(task_id, echo(value))
    answer = client.expect("task_result", task_is(task_id))
    assert answer == {
        "type": "task_result",
        "taskId": task_id,
        "result": {"success": True, "result": value},
    }


def test_the_contracts_own_example_runs_where_its_command_is_known(pool: Pool) -> None:
    client = pool.join()
    task_id = fresh_id("task")
    client.submit(task_id, {"command": "process-data", "input": "..."})
    result = client.result_of(task_id)
    check_result(result)
    assert result["success"] is False, "nobody registered process-data here"


def test_a_task_that_takes_too_long_fails_in_the_contracts_shape(pool: Pool) -> None:
    client = pool.join()
    task_id = fresh_id("task")
    client.submit(task_id, sleep(30), timeout=0.5)
    result = client.result_of(task_id)
    check_result(result)
    assert (result["success"], result["code"]) == (False, "TIMEOUT")


@pytest.mark.across
def test_only_the_submitter_hears_the_result(pool: Pool) -> None:
    client, bystander = pool.join(), pool.join()
    theirs, ours = fresh_id("task"), fresh_id("task")
    client.submit(theirs, echo(1))
    client.result_of(theirs)
    bystander.submit(ours, echo(2))
    bystander.result_of(ours)
    assert [m["taskId"] for m in bystander.of_kind("task_result")] == [ours]
    assert [m["taskId"] for m in client.of_kind("task_result")] == [theirs]


def test_many_tasks_all_come_back(pool: Pool) -> None:
    clients = [pool.join() for _ in range(3)]
    submitted = [(client, fresh_id("task"), i) for i in range(10) for client in clients]
    for client, task_id, i in submitted:
        client.submit(task_id, echo(i))
    for client, task_id, i in submitted:
        assert client.result_of(task_id) == {"success": True, "result": i}


@pytest.mark.across
def test_the_same_task_twice_is_one_task(pool: Pool) -> None:
    client = pool.join()
    agent = worker(pool, client)
    task_id = fresh_id("task")
    for _ in range(3):
        client.submit(task_id, echo("once"), requirements=OURS)
    assigned = agent.expect("task_assign", task_is(task_id))
    done(agent, assigned, {"success": True, "result": "first"})
    assert client.result_of(task_id) == {"success": True, "result": "first"}
    client.submit(task_id, echo("once"), requirements=OURS)
    assert client.result_of(task_id) == {"success": True, "result": "first"}, "known: answered again"
    assert [m["taskId"] for m in agent.of_kind("task_assign")].count(task_id) == 1
    assert not client.of_kind("error")


@pytest.mark.across
def test_another_task_under_a_known_id_is_a_conflict(pool: Pool) -> None:
    client = pool.join()
    task_id = fresh_id("task")
    client.submit(task_id, echo("one"))
    client.submit(task_id, echo("two"))
    client.expect_error("TASK_CONFLICT")
    assert client.result_of(task_id) == {"success": True, "result": "one"}


def test_two_submitters_may_choose_the_same_id(pool: Pool) -> None:
    first, second = pool.join(), pool.join()
    task_id = fresh_id("task")
    first.submit(task_id, echo("one"))
    second.submit(task_id, echo("two"))
    assert first.result_of(task_id)["result"] == "one"
    assert second.result_of(task_id)["result"] == "two"


def test_nobody_submits_in_another_name(pool: Pool) -> None:
    client, other = pool.join(), pool.join()
    client.submit(fresh_id("task"), echo(1), submitterId=other.device_id)
    client.expect_error("WRONG_DEVICE")
    assert not other.of_kind("task_result")


@pytest.mark.across
@pytest.mark.parametrize("away", ["cut", "close"])
def test_a_result_waits_for_a_submitter_that_was_away(pool: Pool, away: str) -> None:
    client = pool.join()
    agent = worker(pool, client)
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements=OURS)
    assigned = agent.expect("task_assign", task_is(task_id))
    client.cut() if away == "cut" else client.close()
    done(agent, assigned, {"success": True, "result": "kept"})
    again = pool.connect(client.device_id)
    again.register()
    assert again.result_of(task_id) == {"success": True, "result": "kept"}


def test_a_task_that_waits_too_long_for_a_device_expires(pool: Pool) -> None:
    client = pool.join()
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements={"memory": 10**12}, queueTimeout=1.5)
    result = client.result_of(task_id)
    check_result(result)
    assert (result["success"], result["code"]) == (False, "EXPIRED")


@pytest.mark.slow
def test_a_task_that_no_device_could_ever_run_is_infeasible(pool: Pool) -> None:
    client = pool.join()
    task_id = fresh_id("task")
    submitted_at = time.monotonic()
    client.submit(task_id, echo(1), requirements={"memory": 10**12})
    wait_for(lambda: _heard_of(client), what="its end")
    assert time.monotonic() - submitted_at > 18
    result = client.result_of(task_id)
    check_result(result)
    assert (result["success"], result["code"]) == (False, "INFEASIBLE")


def _heard_of(client: Client) -> bool:
    """Whether it has heard of an outcome, as one who lives."""
    client.heartbeat()
    client.listen(1)
    return bool(client.of_kind("task_result"))


def test_a_task_waits_for_a_device_that_can_run_it(pool: Pool) -> None:
    client = pool.join()
    task_id = fresh_id("task")
    client.submit(task_id, echo("late"), requirements=OURS)
    agent = worker(pool, client)
    assigned = agent.expect("task_assign", task_is(task_id))
    done(agent, assigned, {"success": True, "result": 1})
    assert client.result_of(task_id)["success"] is True


def test_a_task_with_senseless_requirements_is_refused(pool: Pool) -> None:
    client = pool.join()
    senseless: list[Any] = [{"cpu": -5}, {"cpu": "much"}, []]
    for requirements in senseless:
        client.submit(fresh_id("task"), echo(1), requirements=requirements)
        client.expect_error("BAD_REQUIREMENTS")
    task_id = fresh_id("task")
    client.submit(task_id, echo("fine"))
    assert client.result_of(task_id)["result"] == "fine"
    assert len(client.of_kind("task_result")) == 1


@pytest.mark.across
def test_an_agent_is_assigned_reports_and_is_acknowledged(pool: Pool) -> None:
    client = pool.join()
    agent = worker(pool, client)
    task_id = fresh_id("task")
    client.submit(task_id, echo({"a": 1}), requirements=OURS, timeout=60)
    assigned = agent.expect("task_assign", task_is(task_id))
    assert assigned["submitterId"] == client.device_id
    assert assigned["data"] == echo({"a": 1})
    assert assigned["timeout"] == 60
    assert assigned["requirements"]["memory"] == OURS["memory"]
    agent.send({"type": "task_started", "taskId": task_id, "attempt": assigned["attempt"]})
    done(agent, assigned, {"success": True, "result": [1, 2]})
    assert client.result_of(task_id) == {"success": True, "result": [1, 2]}


def test_a_failure_reported_by_an_agent_reaches_the_submitter(pool: Pool) -> None:
    client = pool.join()
    agent = worker(pool, client)
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements=OURS)
    assigned = agent.expect("task_assign", task_is(task_id))
    done(agent, assigned, {"success": False, "error": "it exited with 3", "code": "EXIT"})
    assert client.result_of(task_id) == {"success": False, "error": "it exited with 3", "code": "EXIT"}


@pytest.mark.across
def test_a_task_whose_agent_leaves_is_run_by_another(pool: Pool) -> None:
    client = pool.join()
    first = worker(pool, client)
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements=OURS)
    lost = first.expect("task_assign", task_is(task_id))
    second = worker(pool, client)
    first.close()
    assigned = second.expect("task_assign", task_is(task_id))
    assert assigned["attempt"] != lost["attempt"]
    done(second, assigned, {"success": True, "result": "second"})
    assert client.result_of(task_id)["result"] == "second"


def test_a_result_of_another_attempt_changes_nothing(pool: Pool) -> None:
    client = pool.join()
    agent = worker(pool, client)
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements=OURS)
    assigned = agent.expect("task_assign", task_is(task_id))
    wrong = {"taskId": task_id, "attempt": "no-such-attempt", "result": {"success": True, "result": "wrong"}}
    agent.send({"type": "task_done", **wrong})
    done(agent, assigned, {"success": True, "result": "right"})
    assert client.result_of(task_id)["result"] == "right"
    assert len(client.of_kind("task_result")) == 1


def cancelled_on(agent: Client, client: Client) -> Message:
    """A task of `client` runs on `agent` and is cancelled; the attempt that the agent is to stop."""
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements=OURS)
    assigned = agent.expect("task_assign", task_is(task_id))
    client.send({"type": "task_cancel", "taskId": task_id})
    assert agent.expect("task_cancel", task_is(task_id))["attempt"] == assigned["attempt"]
    return assigned


@pytest.mark.across
def test_a_running_task_can_be_cancelled(pool: Pool) -> None:
    client = pool.join(accepts=["acks"])
    agent = worker(pool, client)
    assigned = cancelled_on(agent, client)
    done(agent, assigned, {"success": False, "error": "stopped", "code": "CANCELLED"})
    result = client.result_of(assigned["taskId"])
    check_result(result)
    assert (result["success"], result["code"]) == (False, "CANCELLED")


@pytest.mark.slow
def test_a_task_is_cancelled_although_its_agent_says_nothing(pool: Pool) -> None:
    client = pool.join(accepts=["acks"])
    agent = worker(pool, client)
    task_id = cancelled_on(agent, client)["taskId"]
    assert client.result_of(task_id)["code"] == "CANCELLED"


def test_a_waiting_task_can_be_cancelled(pool: Pool) -> None:
    client = pool.join(accepts=["acks"])
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements={"memory": 10**12})
    client.send({"type": "task_cancel", "taskId": task_id})
    assert client.result_of(task_id)["code"] == "CANCELLED"


def test_a_cancel_on_the_real_agent_ends_its_process(pool: Pool) -> None:
    client = pool.join(accepts=["acks"])
    task_id = fresh_id("task")
    client.submit(task_id, sleep(60))
    client.expect("task_status", lambda m: m["taskId"] == task_id and m["state"] == "running")
    client.send({"type": "task_cancel", "taskId": task_id})
    assert client.result_of(task_id)["code"] == "CANCELLED"


def test_a_plain_client_is_assigned_no_task(pool: Pool) -> None:
    client = pool.join()
    plain = pool.offer(client)
    task_id = fresh_id("task")
    client.submit(task_id, echo(1), requirements=OURS, queueTimeout=1)
    assert client.result_of(task_id)["code"] == "EXPIRED"
    assert not plain.of_kind("task_assign")
