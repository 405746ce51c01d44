"""What clients ask of the scheduler: in order, after their join, refused when it certainly cannot be done."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.errands import TRIP_COUNT
from rpn.codec import pack_record
from rpn.errors import StoreUnavailable
from rpn.messages import ResourceRequest, TaskCancel, TaskSubmit
from rpn.model import Requirements, Task, TaskState
from rpn.store.records import TaskLife
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import Client, House, opened, settled, steps_of


def ask(number: int = 1) -> ResourceRequest:
    return ResourceRequest(device_id="a", requirements=Requirements(cpu=number), request_id=f"r{number}")


def submit(task_id: str = "t", **more: Any) -> TaskSubmit:
    task = Task(id=task_id, type="compute", submitter_id="a", **more)
    return TaskSubmit(task=task, request_id=f"r-{task_id}")


def names(house: House) -> list[str]:
    return [step[0] for step in house.connection.steps]


def errors(client: Client) -> list[tuple[str, str]]:
    return [(m["code"], m.get("requestId", "")) for m in client.wire.messages if m["type"] == "error"]


@virtual_time
async def test_what_is_asked_before_the_join_goes_after_it() -> None:
    async with opened() as house:
        house.store.open.clear()
        a = await house.connect()
        a.say(make.register("a"), ask(), submit())
        await settled()
        assert house.connection.trips == []
        house.store.open.set()
        await settled()
        assert names(house) == ["request_enter", "task_submit"]


@virtual_time
async def test_the_order_of_asking_is_kept_and_trips_are_shared() -> None:
    async with opened() as house:
        a = await house.device("a", accepts=frozenset({"tasks"}))
        house.connection.open.clear()
        a.say(submit("t0"))
        await settled()
        for number in range(1, TRIP_COUNT + 10):
            a.say(submit(f"t{number}"))
        house.connection.open.set()
        await settled()
        assert [len(steps_of(trip)) for trip in house.connection.trips] == [1, TRIP_COUNT, 9]
        told = [m["taskId"] for m in a.wire.messages if m["type"] == "task_status"]
        assert told == [f"t{number}" for number in range(TRIP_COUNT + 10)]


@virtual_time
async def test_while_the_outcome_is_unknown_the_same_goes_again() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.connection.broken = StoreUnavailable("gone")
        a.say(ask())
        await asyncio.sleep(1)
        house.connection.broken = None
        await asyncio.sleep(1)
        assert len(house.connection.trips) > 2
        assert len({repr(trip) for trip in house.connection.trips}) == 1
        assert errors(a) == []


@virtual_time
async def test_what_was_never_sent_is_refused_while_the_store_is_away() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.connection.open.clear()
        house.connection.broken = StoreUnavailable("gone")
        a.say(ask(1))
        await settled()
        a.say(ask(2))
        house.connection.open.set()
        await settled()
        a.say(ask(3))
        assert errors(a) == [("STORE_UNAVAILABLE", "r2"), ("STORE_UNAVAILABLE", "r3")]
        house.connection.broken = None
        await asyncio.sleep(1)
        a.say(ask(4))
        await settled()
        assert len(errors(a)) == 2
        assert len(house.connection.trips[-1]) == 1


@virtual_time
async def test_a_request_of_a_session_that_the_store_does_not_know_is_refused() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.connection.replies["request_enter"] = 0
        a.say(ask())
        await settled()
        assert errors(a) == [("STORE_UNAVAILABLE", "r1")]


@virtual_time
async def test_a_request_that_named_our_former_id_is_made_anew() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.connection.open.clear()
        house.connection.replies["request_enter"] = 0
        a.say(ask())
        await settled()
        house.uplink.gateway = "new-id"
        house.connection.open.set()
        while len(house.connection.trips) < 2:
            await asyncio.sleep(0)
        house.connection.replies["request_enter"] = 1
        await settled()
        presences = [step[5] for step in house.connection.steps]
        assert presences[1] == f"{a.peer.session_id} new-id"
        assert errors(a) == []


@virtual_time
async def test_nothing_is_told_to_one_who_has_gone() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.connection.open.clear()
        house.connection.replies["task_submit"] = [b"CONFLICT"]
        a.say(submit())
        await settled()
        await a.hang_up()
        a.wire.forget()
        house.connection.open.set()
        await settled()
        assert a.wire.written == []


@virtual_time
async def test_a_known_task_is_answered_with_its_result_and_a_contradiction_refused() -> None:
    async with opened() as house:
        a, over = await house.device("a"), TaskLife(TaskState.SUCCEEDED, 1)
        house.connection.replies["task_cancel"] = [b"OVER", pack_record(over), b'{"success":true,"result":7}']
        a.say(TaskCancel(task_id="t"))
        await settled()
        assert a.wire.messages[-1] == {
            "type": "task_result",
            "taskId": "t",
            "result": {"success": True, "result": 7},
        }
        house.connection.replies["task_submit"] = [b"CONFLICT"]
        a.say(submit())
        await settled()
        assert errors(a) == [("TASK_CONFLICT", "r-t")]
        house.connection.replies["task_submit"] = [b"FULL"]
        a.say(submit())
        await settled()
        assert errors(a)[-1] == ("QUEUE_FULL", "r-t")
