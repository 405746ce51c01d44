"""The owner's word against the pool's: an agent as a process, spoken to by the command line."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.control import changed
from agent.owner import Owner
from agent.policy import Battery, Policy
from rpn.cli.agent_door import Refused, ask
from rpn.errors import BadSettings
from rpn.messages import Register, ResourceUpdate, TaskDone, TaskStarted
from tests.support import make
from tests.support.gateway_double import GatewayDouble
from tests.unit.test_agent_process import agent, gateway, until

__all__ = ["gateway"]


async def say(data_dir: Path, **said: Any) -> dict[str, Any]:
    return await asyncio.to_thread(ask, data_dir, said)


def offers_nothing(update: ResourceUpdate) -> bool:
    found = update.resources
    return not (found.cpu_available or found.memory_available or found.storage_available)


@pytest.fixture
async def data_dir(gateway: GatewayDouble, tmp_path: Path) -> AsyncIterator[Path]:
    (tmp_path / "agent.toml").write_text('[commands.nap]\nargv = ["sleep", "0.5"]\n')
    async with agent(gateway, tmp_path):
        await until((tmp_path / "agent.sock").exists)
        yield tmp_path


async def test_a_pause_offers_nothing_and_says_why(gateway: GatewayDouble, data_dir: Path) -> None:
    await gateway.until(ResourceUpdate, lambda update: not offers_nothing(update))
    found = await say(data_dir, do="pause", for_s=3600)
    assert (found["open"], found["paused_until"] > 0) == (False, True)
    update = await gateway.until(ResourceUpdate, offers_nothing)
    assert update.resources.memory_usage > 0, "what it is stays true"
    told = await gateway.until(Register, lambda each: not each.capabilities["policy"]["open"])
    assert "paused it until" in told.capabilities["policy"]["reasons"][0]
    assert (await say(data_dir, do="resume"))["open"]
    assert not offers_nothing(await gateway.nth(ResourceUpdate, len(gateway.all(ResourceUpdate)) + 1))


async def test_a_pause_suspends_what_runs_and_sends_back_what_comes(
    gateway: GatewayDouble, data_dir: Path
) -> None:
    await gateway.say(make.assign("nap"))
    await gateway.nth(TaskStarted)
    [warden] = psutil.Process(int((data_dir / "agent.lock").read_text())).children()
    [task] = warden.children()
    await say(data_dir, do="pause")
    await until(lambda: task.status() == psutil.STATUS_STOPPED)
    await gateway.say(make.assign())
    assert (await gateway.nth(TaskDone)).result.code == "RETURNED"
    await say(data_dir, do="resume")
    assert (await gateway.nth(TaskDone, 2)).result.success


async def test_an_owner_may_have_tasks_handed_back(gateway: GatewayDouble, data_dir: Path) -> None:
    await gateway.say(make.assign("sleep", {"seconds": 60}))
    await gateway.nth(TaskStarted)
    await say(data_dir, do="policy", changes={"when_withheld": "return"})
    await say(data_dir, do="pause")
    assert (await gateway.nth(TaskDone)).result.code == "RETURNED"


async def test_what_an_owner_does_not_offer_is_neither_told_nor_run(
    gateway: GatewayDouble, data_dir: Path
) -> None:
    await say(data_dir, do="policy", changes={"commands": ["echo"], "submitters": ["friend"]})
    told = await gateway.until(Register, lambda each: each.capabilities["commands"] == ["echo"])
    assert "submitters" not in told.capabilities["policy"]
    answers: dict[tuple[str, str], str] = {}
    for command, submitter in (("echo", "friend"), ("sleep", "friend"), ("echo", "submitter")):
        await gateway.say(make.assign(command, {"seconds": 0}, submitter_id=submitter))
        done = await gateway.nth(TaskDone, len(answers) + 1)
        answers[command, submitter] = done.result.code
    assert list(answers.values()) == ["", "REFUSED", "REFUSED"]


async def test_the_door_is_the_owners_alone_and_refuses_what_cannot_be(data_dir: Path) -> None:
    door = data_dir / "agent.sock"
    assert stat.S_IMODE(door.stat().st_mode) == 0o600
    for said in ({"do": "obey"}, {"do": "pause", "for_s": -1}, {"do": "policy", "changes": {"cpu": 101}}):
        with pytest.raises(Refused):
            await say(data_dir, **said)
    assert json.loads(await asyncio.to_thread(sent, door, b"\xff\n"))["ok"] is False
    assert await asyncio.to_thread(sent, door, b"x" * 100_000 + b"\n") == b""
    found = await say(data_dir, do="status")
    assert (found["open"], found["policy"], found["running"]) == (True, {}, 0)


def sent(door: Path, data: bytes) -> bytes:
    """What the door answers; nothing also if it closes before it has heard all."""
    with suppress(BrokenPipeError, ConnectionResetError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(door))
        connection.sendall(data)
        return connection.recv(4096)
    return b""


class Laptop:
    """A platform whose battery a test sets."""

    def __init__(self) -> None:
        self.found = Battery(80, on_mains=True)

    def battery(self) -> Battery:
        return self.found

    def idle_s(self) -> float | None:
        return None

    def gpus(self) -> list[Any]:
        return []


def test_a_pause_outlives_a_restart(tmp_path: Path) -> None:
    Owner(Policy(), tmp_path, Laptop(), on_change=lambda: None).pause(None)
    again = Owner(Policy(), tmp_path, Laptop(), on_change=lambda: None)
    assert not again.verdict.open
    again.resume()
    assert Owner(Policy(), tmp_path, Laptop(), on_change=lambda: None).verdict.open
    assert stat.S_IMODE((tmp_path / "owner.json").stat().st_mode) == 0o600


def test_an_owners_word_that_cannot_be_read_is_a_pause(tmp_path: Path) -> None:
    (tmp_path / "owner.json").write_text("{")
    assert not Owner(Policy(), tmp_path, Laptop(), on_change=lambda: None).verdict.open


def test_a_loose_plug_closes_at_once_and_opens_only_when_it_holds(tmp_path: Path) -> None:
    laptop, changes = Laptop(), []
    owner = Owner(Policy(), tmp_path, laptop, on_change=lambda: changes.append(owner.verdict.open))
    for on_mains, now_s in ((False, 0), (True, 1), (False, 2), (True, 3), (True, 11), (True, 12.5)):
        laptop.found = Battery(80, on_mains=on_mains)
        owner.watch(now_s=now_s)
    assert changes == [False, True]


def test_a_change_that_is_none_names_itself() -> None:
    assert changed(Policy(cpu=50), {"memory": 20}) == Policy(cpu=50, memory=20)
    assert changed(Policy(cpu=50), {"cpu": None}) == Policy()
    with pytest.raises(BadSettings, match=r"policy: .*cpu"):
        changed(Policy(), {"cpu": "much"})
    with pytest.raises(BadSettings, match="unknown field `speed`"):
        changed(Policy(), {"speed": 1})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a task is a child")
async def test_a_task_cannot_speak_as_the_owner(gateway: GatewayDouble, tmp_path: Path) -> None:
    door = tmp_path / "agent.sock"
    script = f"""
import socket
door = socket.socket(socket.AF_UNIX)
door.connect({str(door)!r})
door.sendall(b"{{}}\\n")
print(door.recv(9))
"""
    argv = json.dumps([sys.executable, "-c", script])
    (tmp_path / "agent.toml").write_text(f"[commands.talk]\nargv = {argv}\nnetwork = true\n")
    async with agent(gateway, tmp_path):
        await until(door.exists)
        await gateway.say(make.assign("talk"))
        assert (await gateway.nth(TaskDone)).result.result != "b'{\"ok\":'"
