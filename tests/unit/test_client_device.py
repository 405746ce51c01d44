"""Being a device: registered, heard, and back after whatever happens to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from rpn.client import backoff
from rpn.client.device import Device
from rpn.messages import (
    DeviceLeft,
    Error,
    FromServer,
    Heartbeat,
    Register,
    ResourceRelease,
    RunningAttempt,
    ServerDraining,
)
from tests.support.gateway_double import GatewayDouble, gateway_double
from tests.support.patience import PATIENCE_S


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(backoff, "LONGEST_S", 0.05)
    monkeypatch.setattr(backoff, "DRAIN_SPREAD_S", 0.01)


@pytest.fixture
async def gateway() -> AsyncIterator[GatewayDouble]:
    async with gateway_double() as double:
        yield double


def register(running: list[RunningAttempt] | None = None) -> Register:
    return Register(
        device_id="d", device_name="D", platform="linux", accepts=frozenset({"tasks"}), running=running
    )


@asynccontextmanager
async def running(device: Device) -> AsyncIterator[Device]:
    task = asyncio.create_task(device.run())
    try:
        yield device
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def device_of(
    *gateways: GatewayDouble,
    greet: Callable[[], Register] = register,
    on_message: Callable[[FromServer], None] = lambda _: None,
    heartbeat_s: float = 5,
) -> Device:
    return Device([gateway.url for gateway in gateways], greet, on_message, heartbeat_s=heartbeat_s)


async def test_it_registers_first_and_is_heard_then(gateway: GatewayDouble) -> None:
    async with running(device_of(gateway, heartbeat_s=0.01)):
        await gateway.nth(Heartbeat, 3)
    assert isinstance(gateway.heard[0], Register)
    assert gateway.heard[1] == Heartbeat(device_id="d")


async def test_a_cut_brings_it_back_with_what_it_runs_then(gateway: GatewayDouble) -> None:
    attempts: list[RunningAttempt] = []
    async with running(device_of(gateway, greet=lambda: register(list(attempts)))):
        await gateway.nth(Register)
        attempts.append(RunningAttempt("t", "a"))
        await gateway.cut()
        again = await gateway.nth(Register, 2)
    assert again.running == [RunningAttempt("t", "a")]


async def test_it_goes_to_another_gateway_when_one_is_gone(gateway: GatewayDouble) -> None:
    async with gateway_double() as other, running(device_of(gateway, other)):
        await asyncio.wait(
            [asyncio.ensure_future(each.nth(Register)) for each in (gateway, other)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        first, second = (gateway, other) if gateway.visits else (other, gateway)
        await first.stop()
        await second.nth(Register)


async def test_a_refused_greeting_is_tried_again_later(gateway: GatewayDouble) -> None:
    refusals = iter(["first", "second"])

    def refuse(message: object) -> Error | None:
        if isinstance(message, Register) and next(refusals, None):
            return Error(error="full", code="DEVICE_LIMIT", request_id=message.request_id)
        return None

    gateway.on_message = refuse
    async with running(device_of(gateway, heartbeat_s=0.01)):
        await gateway.nth(Register, 3)
        await gateway.nth(Heartbeat, len(gateway.all(Heartbeat)) + 1)


async def test_an_error_ends_nothing(gateway: GatewayDouble) -> None:
    heard: list[FromServer] = []
    async with running(device_of(gateway, on_message=heard.append, heartbeat_s=0.01)):
        await gateway.nth(Register)
        await gateway.say(Error(error="what?", code="BAD_MESSAGE"), DeviceLeft(device_id="x"))
        await gateway.nth(Heartbeat, 2)
    assert heard[1:] == [Error(error="what?", code="BAD_MESSAGE"), DeviceLeft(device_id="x")]
    assert gateway.visits == 1


async def test_the_superseded_stays_away(gateway: GatewayDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[backoff.Ending] = []
    wait_s = backoff.wait_s

    def noted(ending: backoff.Ending, failures: int, *, chance: float) -> float:
        waits.append(ending)
        return wait_s(ending, failures, chance=chance)

    monkeypatch.setattr(backoff, "wait_s", noted)
    async with running(device_of(gateway)):
        await gateway.nth(Register)
        await gateway.cut(1008, "superseded")
        async with asyncio.timeout(PATIENCE_S):
            while not waits:
                await asyncio.sleep(0.01)
    assert waits[0].superseded
    assert gateway.visits == 1


async def test_it_comes_back_when_a_draining_gateway_said(gateway: GatewayDouble) -> None:
    loop = asyncio.get_running_loop()
    async with running(device_of(gateway)):
        await gateway.nth(Register)
        await gateway.say(ServerDraining(reconnect_after_ms=300))
        await gateway.cut(1001)
        left_s = loop.time()
        await gateway.nth(Register, 2)
    assert loop.time() - left_s >= 0.3


async def test_what_is_sent_together_travels_in_one_frame(gateway: GatewayDouble) -> None:
    device = device_of(gateway)
    async with running(device):
        await device.online.wait()
        assert device.send(*(ResourceRelease(allocation_id=f"{n}") for n in range(50)))
        await gateway.nth(ResourceRelease, 50)
    assert len(gateway.frames) == 2


async def test_without_a_connection_sending_says_no(gateway: GatewayDouble) -> None:
    assert not device_of(gateway).send(ResourceRelease(allocation_id="a"))


async def test_leaving_says_goodbye(gateway: GatewayDouble) -> None:
    device = device_of(gateway)
    async with running(device):
        await gateway.nth(Register)
        socket = gateway.connections[0]
    await socket.wait_closed()
    assert socket.close_code == 1000
