"""The agent as the process it is: what it says to a gateway, and what is left when it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from rpn.messages import Acked, Register, ResourceUpdate, RunningAttempt, TaskCancelled, TaskDone, TaskStarted
from rpn.model import TaskResult
from tests.support import make
from tests.support.gateway_double import GatewayDouble, gateway_double
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_ports

MB = 2**20


@pytest.fixture
async def gateway() -> AsyncIterator[GatewayDouble]:
    async with gateway_double(acknowledges=False) as double:
        yield double


async def start(server: str, data_dir: Path, **settings: object) -> Process:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RPN_")}
    environ |= {"RPN_SERVER": server, "RPN_DATA_DIR": str(data_dir)}
    environ |= {name: str(value) for name, value in settings.items()}
    return await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "agent", env=environ, stderr=PIPE)


@asynccontextmanager
async def agent(gateway: GatewayDouble, data_dir: Path, **settings: object) -> AsyncIterator[Process]:
    process = await start(gateway.url, data_dir, **settings)
    try:
        await gateway.nth(Register, len(gateway.all(Register)) + 1)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that init has only to take note of does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_it_introduces_itself_and_tells_what_the_machine_has(
    gateway: GatewayDouble, tmp_path: Path
) -> None:
    async with agent(gateway, tmp_path):
        update = await gateway.nth(ResourceUpdate)
    register = gateway.all(Register)[0]
    assert register.accepts == {"tasks", "acks"}
    assert register.receives == "none"
    assert (register.running, register.finished) == ([], [])
    assert register.capabilities["commands"] == ["echo", "primes", "sha256", "sleep"]
    assert register.device_id == update.device_id == (tmp_path / "agent-id").read_text().strip()
    assert update.resources.cpu_cores == os.cpu_count()


async def test_it_tells_how_it_is_where_its_owner_lets_it(gateway: GatewayDouble, tmp_path: Path) -> None:
    [port] = free_ports(1)
    async with (
        agent(gateway, tmp_path, RPN_AGENT_METRICS_PORT=port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        await gateway.say(make.assign("echo", "x"))
        await gateway.nth(TaskDone)
        assert (await client.get("/readyz")).status_code == 200
        text = (await client.get("/metrics")).text
    assert "rpn_agent_connected 1" in text
    assert 'rpn_agent_attempts_ended_total{outcome="ok"} 1' in text
    assert "rpn_agent_results_waiting 1" in text


async def test_a_port_for_metrics_that_is_taken_ends_it(gateway: GatewayDouble, tmp_path: Path) -> None:
    process = await start(gateway.url, tmp_path, RPN_AGENT_METRICS_PORT=gateway.port)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"RPN_AGENT_METRICS_PORT: cannot listen" in said


async def test_told_to_stop_it_says_goodbye_and_leaves_nothing(
    gateway: GatewayDouble, tmp_path: Path
) -> None:
    (tmp_path / "agent.toml").write_text('[commands.nap]\nargv = ["sleep", "1000"]\n')
    async with agent(gateway, tmp_path) as process:
        await gateway.say(make.assign("nap"), make.assign("sleep", {"seconds": 60}))
        await gateway.nth(TaskStarted, 2)
        family = psutil.Process(process.pid).children(recursive=True)
        socket = gateway.connections[0]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        await socket.wait_closed()
    assert socket.close_code == 1000
    assert len(family) == 2
    assert not any(map(alive, family))
    assert gateway.all(TaskDone) == []
    assert list((tmp_path / "agent-work").iterdir()) == []


async def test_killed_it_leaves_no_orphan(gateway: GatewayDouble, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(
        '[commands.family]\nargv = ["sh", "-c", "sleep 1000 & setsid sleep 1001 & wait"]\n'
    )
    async with agent(gateway, tmp_path) as process:
        await gateway.say(*(make.assign("family") for _ in range(3)), make.assign("sleep", {"seconds": 60}))
        await gateway.nth(TaskStarted, 4)
        itself = psutil.Process(process.pid)
        await until(lambda: len(itself.children(recursive=True)) >= 10)
        family = itself.children(recursive=True)
        process.kill()
        await until(lambda: not any(map(alive, family)))
    assert list((tmp_path / "agent-work").iterdir()) == []


HIDING = 'setsid env -i PATH="$PATH" sleep 1002 & setsid sleep 1001 & sleep 1000'


async def test_tasks_of_a_killed_warden_end_with_their_agent(gateway: GatewayDouble, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(f"[commands.family]\nargv = ['sh', '-c', '{HIDING}']\n")
    async with agent(gateway, tmp_path) as process:
        await gateway.say(make.assign("family"))
        await gateway.nth(TaskStarted)
        [warden] = psutil.Process(process.pid).children()
        await until(lambda: len(warden.children(recursive=True)) == 4)
        family = warden.children(recursive=True)
        warden.kill()
        assert await process.wait() != 0
    assert not any(map(alive, family))
    assert list((tmp_path / "agent-work").iterdir()) == []


async def test_an_agent_ends_what_its_predecessor_and_the_warden_left(
    gateway: GatewayDouble, tmp_path: Path
) -> None:
    (tmp_path / "agent.toml").write_text(f"[commands.family]\nargv = ['sh', '-c', '{HIDING}']\n")
    async with agent(gateway, tmp_path) as process:
        await gateway.say(make.assign("family"))
        await gateway.nth(TaskStarted)
        [warden] = psutil.Process(process.pid).children()
        await until(lambda: len(warden.children(recursive=True)) == 4)
        family = warden.children(recursive=True)
        process.send_signal(signal.SIGSTOP)  # so that neither sees the other's end
        warden.kill()
        process.kill()
        await process.wait()
    known = [each for each in family if alive(each) and (os.geteuid() == 0 or "HOME" in each.environ())]
    assert known, "this is no test of anything"
    async with agent(gateway, tmp_path):
        assert not any(map(alive, known))


async def test_a_result_waits_for_its_acknowledgement_over_cuts_and_kills(
    gateway: GatewayDouble, tmp_path: Path
) -> None:
    assign = make.assign("echo", "kept")
    async with agent(gateway, tmp_path):
        await gateway.say(assign)
        await gateway.nth(TaskDone)
        await gateway.cut()
        after_cut = await gateway.nth(Register, 2)
    async with agent(gateway, tmp_path):
        after_kill = gateway.all(Register)[-1]
        await gateway.say(Acked(ids=[assign.attempt]))
        await until(lambda: not list((tmp_path / "agent-results").iterdir()))
    for register in (after_cut, after_kill):
        [finished] = register.finished
        assert (finished.attempt, finished.result) == (
            assign.attempt,
            TaskResult(success=True, result="kept"),
        )


async def test_what_runs_goes_on_through_a_cut(gateway: GatewayDouble, tmp_path: Path) -> None:
    assign = make.assign("sleep", {"seconds": 60})
    async with agent(gateway, tmp_path):
        await gateway.say(assign)
        await gateway.nth(TaskStarted)
        await gateway.cut()
        register = await gateway.nth(Register, 2)
        assert register.running == [RunningAttempt(assign.task_id, assign.attempt)]
        await gateway.nth(TaskStarted, 2)
        await gateway.say(TaskCancelled(task_id=assign.task_id, attempt=assign.attempt, reason="stale"))
        assert (await gateway.nth(TaskDone)).result == TaskResult(
            success=False, error="stale", code="CANCELLED"
        )


async def test_it_is_small(gateway: GatewayDouble, tmp_path: Path) -> None:
    async with agent(gateway, tmp_path) as process:
        await gateway.nth(ResourceUpdate)
        itself = psutil.Process(process.pid)
        parts = [itself, *itself.children()]
        assert sum(part.memory_full_info().pss for part in parts) < 45 * MB


async def test_a_bad_setting_is_named_and_ends_it(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[commands.a]\n")
    process = await start("localhost:1", tmp_path)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"commands.a: Object missing required field `argv`" in said


async def test_a_second_agent_of_one_directory_is_told_who_is_there(
    gateway: GatewayDouble, tmp_path: Path
) -> None:
    async with agent(gateway, tmp_path) as first:
        second = await start(gateway.url, tmp_path)
        _, said = await second.communicate()
    assert second.returncode == 2
    assert f"process {first.pid}".encode() in said
