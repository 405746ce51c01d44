"""Each message of a client, dealt with or refused without a trace."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.desk import ACKNOWLEDGE_AFTER_S
from gateway.limits import DATA_LIMIT, ERROR_LIMIT, REGISTER_LIMIT, REGISTER_SPAN_S
from rpn.codec import encode_all, unpack_record
from rpn.messages import (
    AllocationRenew,
    FinishedAttempt,
    Message,
    Observe,
    Ping,
    ResourceRelease,
    ResourceRequest,
    RunningAttempt,
    TaskDone,
    TaskProgressReport,
    TaskStarted,
    TaskSubmit,
)
from rpn.model import Requirements, Task, TaskResult
from rpn.store.records import (
    DoneEntry,
    ProgressEntry,
    ReconcileEntry,
    ReleaseEntry,
    RenewEntry,
    RequestEntry,
    RequestStreamEntry,
    StartedEntry,
    TaskStreamEntry,
)
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import Client, House, opened, settled

AGENT = frozenset({"tasks"})


def codes(client: Client) -> list[str]:
    return [message["code"] for message in client.wire.messages if message["type"] == "error"]


def entered(house: House, kind: Any, *, at: int) -> list[Any]:
    """The entries that were handed to the scheduler."""
    return [unpack_record(kind, step[at]) for step in house.connection.steps]


def submit(data: Any) -> bytes:
    task = {"id": "t", "type": "compute", "submitterId": "a", "data": {"input": data}}
    return json.dumps({"type": "task_submit", "task": task, "requestId": "r"}).encode()


@virtual_time
async def test_a_request_goes_to_the_scheduler_with_the_session_it_rests_on() -> None:
    async with opened() as house:
        a = await house.device("a")
        a.say(ResourceRequest(device_id="a", requirements=Requirements(cpu=5), request_id="r1"))
        await settled()
        (entry,) = entered(house, RequestStreamEntry, at=6)
        assert isinstance(entry, RequestEntry)
        assert (entry.device_id, entry.requirements, entry.request_id) == ("a", Requirements(cpu=5), "r1")
        assert entry.presence == house.store.model.sessions["a"]
        assert not entry.releases, "a plain client cannot"


@virtual_time
async def test_asking_for_nothing_is_refused() -> None:
    async with opened() as house:
        a = await house.device("a")
        a.say(ResourceRequest(device_id="a", requirements=Requirements(cpu=0.0)))
        assert codes(a) == ["BAD_REQUIREMENTS"]
        assert house.connection.trips == []


@virtual_time
async def test_a_release_names_its_allocation() -> None:
    async with opened() as house:
        a = await house.device("a")
        a.say(ResourceRelease(allocation_id="x"))
        await settled()
        assert entered(house, RequestStreamEntry, at=6) == [ReleaseEntry("a", "x")]


@virtual_time
async def test_a_renewal_names_its_allocation_and_how_long() -> None:
    async with opened() as house:
        a = await house.device("a", accepts=AGENT)
        a.say(AllocationRenew(allocation_id="x", ttl_s=2.5, request_id="r"))
        await settled()
        assert entered(house, RequestStreamEntry, at=6) == [RenewEntry("a", "x", 2500, "r")]


@virtual_time
async def test_whoever_asks_for_more_than_the_api_has_may_be_told_more() -> None:
    async with opened() as house:
        a = await house.device("a")
        a.say(
            ResourceRequest(device_id="a", requirements=Requirements(cpu=5)),
            ResourceRequest(device_id="a", requirements=Requirements(cpu=5), ttl_s=2),
            ResourceRequest(device_id="a", requirements=Requirements(cpu=5), dry_run=True),
        )
        await settled()
        found = [(each.explains, each.ttl_ms, each.dry_run) for each in entered(house, RequestEntry, at=6)]
        assert found == [(False, 0, False), (True, 2000, False), (True, 0, True)]


@virtual_time
async def test_nothing_is_held_for_longer_than_the_limit() -> None:
    async with opened(allocation_ttl_limit_s=10) as house:
        a = await house.device("a", accepts=AGENT)
        a.say(
            ResourceRequest(device_id="a", requirements=Requirements(cpu=5), ttl_s=11),
            AllocationRenew(allocation_id="x", ttl_s=11),
        )
        assert codes(a) == ["BAD_MESSAGE"] * 2
        assert house.connection.trips == []


@virtual_time
async def test_an_agents_reports_reach_the_scheduler_and_a_result_is_acknowledged() -> None:
    async with opened() as house:
        agent = await house.device("a", accepts=AGENT)
        agent.say(
            TaskStarted(task_id="t", attempt="1"),
            TaskProgressReport(task_id="t", attempt="1", log="half"),
            TaskDone(task_id="t", attempt="1", result=TaskResult(True, result=[1])),
        )
        await settled()
        started, progress, done = entered(house, TaskStreamEntry, at=5)
        assert started == StartedEntry("a", "t", "1")
        assert isinstance(progress, ProgressEntry)
        assert json.loads(progress.frame) == {"type": "task_progress", "taskId": "t", "log": "half"}
        assert done == DoneEntry("a", "t", "1", True, b'{"result":[1],"success":true}')
        assert agent.wire.messages[-1] == {"type": "ack", "ids": ["1"]}


@virtual_time
async def test_results_that_come_shortly_after_each_other_are_acknowledged_together() -> None:
    async with opened() as house:
        agent = await house.device("a", accepts=AGENT)
        for attempt in "12":
            agent.say(TaskDone(task_id="t", attempt=attempt, result=TaskResult(True, result=1)))
            await asyncio.sleep(ACKNOWLEDGE_AFTER_S / 4)
        await settled()
        acknowledged = [message["ids"] for message in agent.wire.messages if message["type"] == "ack"]
        assert acknowledged == [["1", "2"]]


@virtual_time
async def test_what_an_agent_finished_and_runs_goes_with_its_join() -> None:
    async with opened() as house:
        finished = [FinishedAttempt("t1", "1", TaskResult(False, error="no"))]
        running = [RunningAttempt("t2", "2")]
        agent = await house.device("a", accepts=AGENT, finished=finished, running=running)
        (guarded,) = next(sent.batch for sent in house.store.sent if sent.batch)
        done, reconcile = guarded.entries
        assert isinstance(done, DoneEntry)
        assert (done.attempt, done.success) == ("1", False)
        assert reconcile == ReconcileEntry("a", agent.peer.session_id, [("t2", "2")])
        assert agent.wire.messages[-1] == {"type": "ack", "ids": ["1"]}


@virtual_time
async def test_one_who_is_no_agent_reconciles_nothing() -> None:
    async with opened() as house:
        await house.device("a", running=[RunningAttempt("t", "1")])
        assert all(not each.entries for sent in house.store.sent for each in sent.batch)


BAD_PAYLOADS: dict[str, bytes] = {
    "nested over 100 deep": submit("HERE").replace(b'"HERE"', b"[" * 300 + b"]" * 300),
    "nested to the edge of the stack": submit("HERE").replace(b'"HERE"', b"[" * 900 + b"]" * 900),
    "an integer of over 64 bits": submit(2**64),
    "4,000 digits": submit("HERE").replace(b'"HERE"', b"9" * 4000),
    "larger than it may be": submit("x" * DATA_LIMIT),
}


@pytest.mark.parametrize("data", BAD_PAYLOADS.values(), ids=BAD_PAYLOADS)
def test_a_payload_that_others_could_not_read_is_refused(data: bytes) -> None:
    @virtual_time
    async def check() -> None:
        async with opened() as house:
            a = await house.device("a")
            a.say_raw(data)
            assert codes(a) == ["BAD_MESSAGE"]
            assert a.wire.closed is None
            assert house.connection.trips == []

    check()


@virtual_time
async def test_a_result_that_is_too_large_is_refused() -> None:
    async with opened() as house:
        agent = await house.device("a", accepts=AGENT)
        for result in ("x" * DATA_LIMIT, 2**64 - 1):
            agent.say(TaskDone(task_id="t", attempt="1", result=TaskResult(True, result=result)))
        assert codes(agent) == ["BAD_MESSAGE"]


@virtual_time
async def test_a_gateway_takes_as_many_devices_as_it_may_and_known_ones_always() -> None:
    async with opened(device_limit=2) as house:
        await house.device("a")
        await house.device("b")
        refused = await house.device("c")
        assert codes(refused) == ["DEVICE_LIMIT"]
        assert refused.wire.closed is None
        again = await house.device("b")
        assert again.wire.types == ["devices"]
        await again.hang_up()
        refused.say(make.register("c"))
        await settled()
        assert refused.wire.types[-1] == "devices"


@virtual_time
async def test_a_ping_is_answered_to_who_asked_and_nobody_else() -> None:
    async with opened() as house:
        asking, other = await house.observer(), await house.device("a")
        asking.say(Ping(request_id="p1"))
        await settled()
        assert {"type": "pong", "requestId": "p1"} in asking.wire.messages
        assert "pong" not in other.wire.types


async def test_observers_have_a_limit_of_their_own() -> None:
    async with opened(observer_limit=1) as house:
        first = await house.observer()
        second = await house.observer()
        assert codes(second) == ["OBSERVER_LIMIT"]
        first.say(Observe())
        assert first.wire.types == ["devices"]


@virtual_time
async def test_a_device_may_not_register_again_and_again() -> None:
    async with opened() as house:
        a = await house.connect()
        a.say(*[make.register("a")] * (REGISTER_LIMIT + 1))
        assert codes(a) == ["RATE_LIMITED"]
        other = await house.device("a")
        assert codes(other) == ["RATE_LIMITED"], "over all its connections"
        await asyncio.sleep(REGISTER_SPAN_S)
        a.say(make.register("a"))
        assert codes(a) == ["RATE_LIMITED"]


@virtual_time
async def test_a_superseded_connection_is_told_so_and_nothing_happens() -> None:
    async with opened() as house:
        older = await house.device("a")
        house.store.open.clear()
        newer = await house.connect()
        newer.say(make.register("a"))
        older.say(make.update("a", cpu_usage=99))
        assert codes(older) == ["SUPERSEDED"]
        house.store.open.set()
        await settled()
        assert house.replica.devices["a"].resources.cpu_usage == 0


@virtual_time
async def test_a_list_of_messages_is_dealt_with_one_by_one() -> None:
    async with opened() as house:
        a = await house.connect()
        batch: list[Message] = [make.register("a"), make.heartbeat("b"), make.update("a", cpu_usage=3)]
        a.say_raw(encode_all(batch))
        await settled()
        assert codes(a) == ["WRONG_DEVICE"]
        assert house.replica.devices["a"].resources.cpu_usage == 3


@virtual_time
async def test_the_51st_error_within_a_minute_closes() -> None:
    async with opened() as house:
        a = await house.device("a")
        for _ in range(ERROR_LIMIT):
            a.say_raw(b"junk")
        assert (len(codes(a)), a.wire.closed) == (ERROR_LIMIT, None)
        await asyncio.sleep(20)
        a.say(make.heartbeat("a"))
        a.say_raw(b"junk")
        assert a.wire.closed == (1008, "too_many_errors")


@virtual_time
async def test_errors_of_a_minute_ago_are_forgiven() -> None:
    async with opened(silence_limit_s=1000) as house:
        a = await house.device("a")
        for _ in range(3):
            for _ in range(ERROR_LIMIT):
                a.say_raw(b"junk")
            await asyncio.sleep(60)
        assert a.wire.closed is None


@virtual_time
async def test_what_comes_behind_the_last_error_in_a_list_is_not_heard() -> None:
    async with opened() as house:
        a = await house.connect()
        batch: list[Message] = [make.heartbeat("a")] * 1000 + [make.register("a")]
        a.say_raw(encode_all(batch))
        await settled()
        assert a.wire.closed == (1008, "too_many_errors")
        assert house.store.said == []


@virtual_time
async def test_a_bug_of_ours_closes_that_connection_alone() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")

        def broken(*_: object) -> None:
            raise ZeroDivisionError("secret")

        house.desk._handlers[TaskSubmit] = broken
        a.say(TaskSubmit(task=Task(id="t", type="compute", submitter_id="a")))
        assert a.wire.closed == (1011, "internal error")
        b.say(make.heartbeat("b"))
        await settled()
        assert b.wire.closed is None


@virtual_time
async def test_binary_is_not_our_language() -> None:
    async with opened() as house:
        a = await house.device("a")
        assert a.wire.receiver is not None
        a.wire.receiver.on_binary(b"")
        assert a.wire.closed == (1003, "text_only")


@virtual_time
async def test_the_request_id_comes_back_with_every_refusal() -> None:
    async with opened() as house:
        a = await house.device("a")
        a.say_raw(b'{"type":"shout","requestId":"r1"}')
        a.say(ResourceRequest(device_id="b", requirements=Requirements(cpu=1), request_id="r2"))
        a.say_raw(b'{"type":"shout","requestId":"a\\u0000b"}')
        found = [message.get("requestId") for message in a.wire.messages if message["type"] == "error"]
        assert found[:2] == ["r1", "r2"]
