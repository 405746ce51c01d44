"""A pool for programs that wait: futures as the standard library has them, and the pool's answers."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import rpn
from rpn.client import backoff
from rpn.client.api import Unreachable
from rpn.client.portal import Portal
from rpn.errors import Forbidden, StoreUnavailable, Unauthorized
from rpn.messages import (
    AllocationUpdate,
    Error,
    Message,
    ResourceAllocation,
    ResourceRelease,
    ResourceRequest,
    TaskCancel,
    TaskProgress,
    TaskResultMessage,
    TaskStatus,
    TaskSubmit,
)
from rpn.model import Allocation, Reason, Share
from tests.support.gateway_double import GatewayDouble, gateway_double

SHARE = Share("d", "D", 200, 4096, 0, False)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)


@contextmanager
def gateway_thread() -> Iterator[tuple[GatewayDouble, Portal[GatewayDouble]]]:
    """A gateway's double that lives in a thread of its own."""
    portal = Portal(gateway_double, name="gateway")
    try:
        yield portal.open(), portal
    finally:
        portal.close()


def answer(message: object) -> Message | None:
    """Echo tasks, grant requests."""
    if isinstance(message, TaskSubmit) and message.task.data["command"] == "echo":
        outcome = {"success": True, "result": message.task.data["input"]}
        return TaskResultMessage(task_id=message.task.id, result=outcome)
    if isinstance(message, ResourceRequest):
        return allocation(message, fulfilled=message.requirements.cpu <= 200)
    return None


def allocation(request: ResourceRequest, *, fulfilled: bool) -> ResourceAllocation:
    shares = [SHARE] if fulfilled else []
    granted = Allocation("x", request.device_id, "", request.requirements, fulfilled, shares)
    reason = None if fulfilled else Reason(code="INSUFFICIENT", message="not now", devices=1)
    return ResourceAllocation(allocation=granted, request_id=request.request_id, reason=reason)


def test_futures_bring_results_in_any_order_they_are_asked_for() -> None:
    with gateway_thread() as (gateway, _):
        gateway.on_message = answer
        with rpn.Pool(gateway.url) as pool:
            futures = [pool.submit("echo", number) for number in range(50)]
            assert [future.result(10) for future in reversed(futures)] == list(reversed(range(50)))
            assert list(pool.map("echo", range(5))) == list(range(5))
            assert {future.state for future in futures} == {"succeeded"}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"x": object()}, TypeError),
        ({1, 2}, TypeError),
        (b"bytes", TypeError),
        ("\udcff", ValueError),
        (float("nan"), ValueError),
        ([float("inf")], ValueError),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once_and_harms_nothing_else(
    given: object, error: type[Exception]
) -> None:
    with gateway_thread() as (gateway, _):
        gateway.on_message = answer
        with rpn.Pool(gateway.url) as pool:
            with pytest.raises(error, match="a task's input is"):
                pool.submit("echo", given)
            assert pool.submit("echo", (1, "two")).result(10) == [1, "two"]


@pytest.mark.parametrize(
    "options", [{"labels": {"a": object()}}, {"labels": "a"}, {"exclude": "abc"}, {"task_id": "\udcff"}]
)
def test_options_that_cannot_be_sent_are_refused_at_once(options: dict[str, object]) -> None:
    with gateway_thread() as (gateway, _):
        gateway.on_message = answer
        with rpn.Pool(gateway.url) as pool:
            with pytest.raises((TypeError, ValueError)):
                pool.submit("echo", 1, **options)
            assert pool.submit("echo", 1).result(10) == 1


@pytest.mark.parametrize("what", [5, None, ["echo"]])
def test_what_is_no_command_and_no_function_is_refused_at_once(what: object) -> None:
    with (
        gateway_thread() as (gateway, _),
        rpn.Pool(gateway.url) as pool,
        pytest.raises(TypeError, match="a command or a Python function"),
    ):
        pool.submit(what)  # type: ignore[call-overload]


def test_a_pool_whose_thread_has_ended_says_so_of_whatever_is_submitted() -> None:
    with gateway_thread() as (gateway, _):
        pool = rpn.Pool(gateway.url)
        pool.open()
        pool._portal.close()
        with pytest.raises(rpn.TaskFailed, match="closed before"):
            pool.submit("echo", 1).result(10)
        pool.close()


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (401, b'{"error":"a token is needed","code":"UNAUTHORIZED"}', Unauthorized, "a token is needed"),
        (403, b'{"error":"not you","code":"FORBIDDEN"}', Forbidden, "not you"),
    ],
)
def test_a_gateway_that_lets_nobody_in_is_believed_at_once(
    status: int, body: bytes, error: type[Exception], text: str
) -> None:
    with gateway_thread() as (gateway, _):
        gateway.refusal = status, body
        with pytest.raises(error, match=text):
            rpn.Pool(gateway.url, connect_timeout_s=600).open()


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (503, b'{"error":"the store is away","code":"STORE_UNAVAILABLE"}', StoreUnavailable, "is away"),
        (404, b"<html>nothing here</html>", Unreachable, "no gateway at .* answers: .*HTTP 404"),
    ],
)
def test_who_finds_no_way_in_for_a_while_is_told_what_was_in_the_way(
    status: int, body: bytes, error: type[Exception], text: str
) -> None:
    with gateway_thread() as (gateway, _):
        gateway.refusal = status, body
        with pytest.raises(error, match=text):
            rpn.Pool(gateway.url, connect_timeout_s=1).open()


def test_a_future_tells_how_its_task_is_doing() -> None:
    with gateway_thread() as (gateway, portal), rpn.Pool(gateway.url) as pool:
        future = pool.submit("render", {"frame": 1})
        portal.call(gateway.nth(TaskSubmit))
        task_id = future.task.id
        portal.call(
            gateway.say(
                TaskStatus(task_id=task_id, state="running"),
                TaskProgress(task_id=task_id, progress=0.5, log="half\n"),
                TaskProgress(task_id=task_id, log="done\n"),
                TaskResultMessage(task_id=task_id, result={"success": True, "result": 7}),
            )
        )
        assert future.result(10) == 7
        assert (future.progress, future.log) == (0.5, "half\ndone\n")


def test_a_failed_task_raises_with_its_code() -> None:
    with gateway_thread() as (gateway, portal), rpn.Pool(gateway.url) as pool:
        future = pool.submit("render")
        portal.call(gateway.nth(TaskSubmit))
        outcome = {"success": False, "error": "too slow", "code": "TIMEOUT"}
        portal.call(gateway.say(TaskResultMessage(task_id=future.task.id, result=outcome)))
        with pytest.raises(rpn.TaskFailed, match=r"too slow \(TIMEOUT\)") as caught:
            future.result(10)
        assert caught.value.code == "TIMEOUT"


def test_a_cancelled_future_is_cancelled_in_the_pool() -> None:
    with gateway_thread() as (gateway, portal), rpn.Pool(gateway.url) as pool:
        future = pool.submit("render")
        portal.call(gateway.nth(TaskSubmit))
        assert future.cancel()
        assert portal.call(gateway.nth(TaskCancel)).task_id == future.task.id
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(10)


def test_a_task_that_runs_is_not_cancelled_but_can_be_stopped() -> None:
    with gateway_thread() as (gateway, portal), rpn.Pool(gateway.url) as pool:
        future = pool.submit("render")
        portal.call(gateway.nth(TaskSubmit))
        portal.call(
            gateway.say(TaskStatus(task_id=future.task.id, state="running"), Error(error="", code="X"))
        )
        running = threading.Event()
        future_state_is(future, "running", running)
        assert running.wait(10)
        assert not future.cancel()
        future.stop()
        assert portal.call(gateway.nth(TaskCancel)).task_id == future.task.id


def future_state_is(future: rpn.Future, state: str, reached: threading.Event) -> None:
    """Set `reached` when the future is in this state."""

    def look() -> None:
        while future.state != state and not reached.wait(0.005):
            pass
        reached.set()

    threading.Thread(target=look, daemon=True).start()


def test_an_allocation_lasts_as_long_as_its_block() -> None:
    with gateway_thread() as (gateway, portal):
        gateway.on_message = answer
        with rpn.Pool(gateway.url) as pool:
            with pool.allocate(cpu=2, memory="4 GiB") as held:
                assert held.shares == [SHARE]
                assert not gateway.all(ResourceRelease)
            assert portal.call(gateway.nth(ResourceRelease)).allocation_id == "x"
    needs = gateway.all(ResourceRequest)[0].requirements
    assert (needs.cpu, needs.memory) == (200, 4096)


def test_an_allocation_that_is_not_granted_says_why() -> None:
    with gateway_thread() as (gateway, _):
        gateway.on_message = answer
        with (
            rpn.Pool(gateway.url) as pool,
            pytest.raises(rpn.NotFulfilled, match="not now") as caught,
            pool.allocate(cpu=3),
        ):
            raise AssertionError("the block must not be entered")
    assert caught.value.reason is not None
    assert caught.value.reason.code == "INSUFFICIENT"


def test_a_holder_learns_that_its_allocation_is_over() -> None:
    with gateway_thread() as (gateway, portal):
        gateway.on_message = answer
        with rpn.Pool(gateway.url) as pool, pool.allocate(cpu=1) as held:
            over = Allocation("x", "", "", held.allocation.requirements, False, [])
            portal.call(gateway.say(AllocationUpdate(allocation=over, change="expired")))
            assert pool.submit("echo", 1).result(10) == 1  # what was said before has been heard
            assert held.over.is_set()


def test_where_nobody_answers_opening_says_so() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"), rpn.Pool("127.0.0.1:9", connect_timeout_s=0.1):
        raise AssertionError("the block must not be entered")


def test_a_pool_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        rpn.Pool("127.0.0.1:9").submit("echo", 1)
