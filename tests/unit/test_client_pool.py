"""Using a pool: answers find their questions, through lost connections as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rpn.client import backoff, conversation
from rpn.client.pool import AsyncPool
from rpn.client.refusals import TaskFailed
from rpn.errors import BadRequirements, NotAllowed, TaskConflict
from rpn.messages import (
    Ack,
    DeviceJoined,
    DeviceLeft,
    Devices,
    Error,
    Message,
    Observe,
    Register,
    ResourceAllocation,
    ResourceChanged,
    ResourceRelease,
    ResourceRequest,
    TaskCancel,
    TaskResultMessage,
    TaskSubmit,
)
from rpn.model import NO_RESOURCES, Allocation, Device, Requirements
from tests.support.gateway_double import GatewayDouble, gateway_double


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(conversation, "RETRY_S", 0.01)


@pytest.fixture
async def gateway() -> AsyncIterator[GatewayDouble]:
    async with gateway_double() as double:
        yield double


def device(name: str) -> Device:
    return Device(name, name, "linux", "10.0.0.1", "2025-10-20T10:30:00.000Z", True, NO_RESOURCES)


def granted(request: ResourceRequest, allocation_id: str = "a") -> ResourceAllocation:
    allocation = Allocation(
        allocation_id, request.device_id, "2025-10-20T10:30:00.000Z", request.requirements, True, []
    )
    return ResourceAllocation(allocation=allocation, request_id=request.request_id)


def succeed(submit: TaskSubmit) -> TaskResultMessage:
    return TaskResultMessage(
        task_id=submit.task.id, result={"success": True, "result": submit.task.data["input"]}
    )


def answering(message: object) -> Message | None:
    if isinstance(message, ResourceRequest):
        return granted(message)
    return succeed(message) if isinstance(message, TaskSubmit) else None


async def test_a_task_brings_its_result(gateway: GatewayDouble) -> None:
    gateway.on_message = answering
    async with AsyncPool(gateway.url) as used:
        assert await used.submit("echo", {"a": [1, None]}) == {"a": [1, None]}
        assert (await gateway.nth(Ack)).ids == [gateway.all(TaskSubmit)[0].task.id]


async def test_a_failed_task_tells_its_code(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url) as used:
        submission = used.submit("nap")
        task = (await gateway.nth(TaskSubmit)).task
        result: Any = {"success": False, "error": "too slow", "code": "TIMEOUT"}
        await gateway.say(TaskResultMessage(task_id=task.id, result=result))
        with pytest.raises(TaskFailed, match="too slow") as caught:
            await submission
    assert caught.value.code == "TIMEOUT"


async def test_an_open_task_is_sent_again_under_its_id(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url) as used:
        submission = used.submit("echo", 7)
        first = await gateway.nth(TaskSubmit)
        await gateway.cut()
        assert await gateway.nth(TaskSubmit, 2) == first
        await gateway.say(succeed(first))
        assert await submission == 7


async def test_a_refused_task_raises_the_error_of_its_code(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url) as used:
        submission = used.submit("echo", task_id="mine")
        await gateway.nth(TaskSubmit)
        await gateway.say(Error(error="it was another", code="TASK_CONFLICT", request_id="mine"))
        with pytest.raises(TaskConflict, match="it was another"):
            await submission


async def test_what_was_certainly_not_done_is_tried_again(gateway: GatewayDouble) -> None:
    away = iter([True])

    def answer(message: object) -> Message | None:
        if isinstance(message, TaskSubmit) and next(away, False):
            return Error(error="away", code="STORE_UNAVAILABLE", request_id=message.request_id)
        return answering(message)

    gateway.on_message = answer
    async with AsyncPool(gateway.url) as used:
        assert await used.submit("echo", 1) == 1


async def test_a_cancel_names_the_task_also_after_a_cut(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url) as used:
        used.submit("sleep", task_id="t").cancel()
        await gateway.nth(TaskCancel)
        await gateway.cut()
        assert (await gateway.nth(TaskCancel, 2)).task_id == "t"


async def test_resources_are_reserved_and_given_back(gateway: GatewayDouble) -> None:
    gateway.on_message = answering
    async with AsyncPool(gateway.url) as used:
        allocation = await used.request(Requirements(cpu=100))
        assert allocation.fulfilled
        used.release(allocation)
        assert (await gateway.nth(ResourceRelease)).allocation_id == "a"


async def test_an_allocation_nobody_waits_for_any_more_is_given_back(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url) as used:
        waiting = asyncio.create_task(used.request(Requirements(cpu=100)))
        request = await gateway.nth(ResourceRequest)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await gateway.say(granted(request))
        assert (await gateway.nth(ResourceRelease)).allocation_id == "a"


async def test_a_request_made_again_keeps_one_allocation(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url) as used:
        asked = asyncio.create_task(used.request(Requirements(cpu=100)))
        request = await gateway.nth(ResourceRequest)
        await gateway.cut()
        assert await gateway.nth(ResourceRequest, 2) == request
        first, second = granted(request, "first"), granted(request, "second")
        await gateway.say(first, second, first)
        assert (await asked).id == "first"
        await gateway.say(second)
        await gateway.nth(ResourceRelease, 2)
    assert {release.allocation_id for release in gateway.all(ResourceRelease)} == {"second"}


async def test_a_refused_request_raises(gateway: GatewayDouble) -> None:
    def refuse(message: object) -> Message | None:
        if isinstance(message, ResourceRequest):
            return Error(error="asks for nothing", code="BAD_REQUIREMENTS", request_id=message.request_id)
        return None

    gateway.on_message = refuse
    async with AsyncPool(gateway.url) as used:
        with pytest.raises(BadRequirements, match="asks for nothing"):
            await used.request(Requirements())


async def test_the_devices_are_those_last_heard_of(gateway: GatewayDouble) -> None:
    gateway.welcomes = False

    async def welcome() -> None:
        await gateway.nth(Observe)
        await gateway.say(
            Devices(devices=[device("a"), device("b")]),
            DeviceJoined(device=device("c")),
            ResourceChanged(device_id="c", resources=NO_RESOURCES),
            DeviceLeft(device_id="a"),
        )

    welcoming = asyncio.create_task(welcome())
    async with AsyncPool(gateway.url, observe=True) as used:
        await welcoming
        assert [found.id for found in await used.devices()] == ["b", "c"]


async def test_an_observer_asks_for_nothing(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url, observe=True) as used:
        with pytest.raises(NotAllowed, match="only watches"):
            used.submit("echo")
        with pytest.raises(NotAllowed, match="only watches"):
            await used.request(Requirements(cpu=1))


async def test_an_error_in_the_block_leaves_it_as_it_is(gateway: GatewayDouble) -> None:
    with pytest.raises(ZeroDivisionError):
        async with AsyncPool(gateway.url):
            raise ZeroDivisionError


async def test_a_pool_joins_as_a_device_that_takes_no_tasks(gateway: GatewayDouble) -> None:
    async with AsyncPool(gateway.url, name="notebook"):
        register = await gateway.nth(Register)
    assert register.device_name == "notebook"
    assert "tasks" not in register.accepts
