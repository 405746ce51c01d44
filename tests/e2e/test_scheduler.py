"""Scheduler processes over a real Valkey: one leads, another takes over, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rpn.codec import decode_from_server, unpack_record
from rpn.errors import StoreUnavailable
from rpn.events import Identity, Kind, Operation, pack_identity
from rpn.messages import ResourceAllocation, TaskAssign
from rpn.model import Requirements, Resources, TaskState
from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer
from rpn.store.keys import Keys
from rpn.store.mailbox import Mailbox
from rpn.store.pool import WHOEVER, Guarded, PoolStore, new_tip
from rpn.store.records import AllocationRecord, DoneEntry, ReconcileEntry, RequestEntry, StartedEntry
from rpn.store.requests import Requests
from rpn.store.steps import Step, run_steps
from rpn.store.tasks import TaskLimits, Tasks
from tests.support.patience import PATIENCE_S
from tests.support.scheduling import packed, resources, task

LEASE_S = 0.5


class Gateway:
    """Devices of one gateway, and agents that run whatever they are given."""

    def __init__(self, url: str) -> None:
        self.connection = Connection(url)
        self.keys = Keys("default")
        self.presences: dict[str, str] = {}
        self.messages: list[tuple[str, Any]] = []
        self._id = "gw"
        self._number = 0
        self._pool = PoolStore(self.connection, self.keys)
        self._requests = Requests(self.connection, self.keys)
        self.tasks = Tasks(self.connection, self.keys)

    async def join(self, device_id: str, has: Resources, *, accepts: tuple[str, ...] = ("tasks",)) -> None:
        session = f"session-{device_id}"
        identity = pack_identity(Identity(device_id, "linux", "127.0.0.1", {}, list(accepts)))
        join = Operation(Kind.JOIN, device_id, session, self._id, identity, packed(device_id, has))
        entries = (ReconcileEntry(device_id, session, []),) if "tasks" in accepts else ()
        self._number += 1
        batch = [Guarded(join, WHOEVER, entries)]
        await self._pool.apply(self._id, self._number, batch, lease_ms=120_000, tip=new_tip())
        self.presences[device_id] = f"{session} {self._id}"

    async def ask(self, allocation_id: str, device_id: str, requirements: Requirements) -> None:
        presence = self.presences[device_id]
        entry = RequestEntry(allocation_id, device_id, presence, requirements)
        await self._run_step(self._requests.enter(entry, presence=presence, mark=allocation_id))

    async def submit(self, task_id: str, **fields: Any) -> None:
        await self._run_step(self.tasks.submit(task(task_id, **fields), TaskLimits(1000, 1000)))

    async def deliver(self) -> None:
        """Read the mailbox for ever; agents start and finish at once."""
        async for letters in Mailbox(self.connection, self.keys, self._id).letters():
            for letter in letters:
                message = decode_from_server(letter.frame)
                self.messages.append((letter.device_id, message))
                if isinstance(message, TaskAssign):
                    await self._run(letter.device_id, message)

    async def _run(self, device_id: str, given: TaskAssign) -> None:
        outcome = msgspec.json.encode({"success": True, "result": given.task_id})
        started = StartedEntry(device_id, given.task_id, given.attempt)
        ended = DoneEntry(device_id, given.task_id, given.attempt, True, outcome)
        presence = self.presences[device_id]
        for report in (started, ended):
            await self._run_step(self.tasks.report(device_id, presence, report))

    async def _run_step(self, step: Step[Any]) -> None:
        answers = await run_steps(self.connection, [step])
        assert not isinstance(answers[0], Exception)

    def answers(self) -> list[ResourceAllocation]:
        return [each for _, each in self.messages if isinstance(each, ResourceAllocation)]

    async def lives(self, count: int) -> list[TaskState]:
        stored = await self.tasks.load([("sub", f"t{number}") for number in range(count)])
        return [each.life.state for each in stored if each is not None]

    async def held(self) -> dict[str, AllocationRecord]:
        found = await self.connection.command("HVALS", self.keys.allocations)
        records = [unpack_record(AllocationRecord, each) for each in found]
        return {record.id: record for record in records}

    async def idle(self) -> bool:
        """Whether both streams are empty."""
        lengths = await self.connection.commands(
            [("XLEN", self.keys.requests), ("XLEN", self.keys.tasks), ("ZCARD", self.keys.open)]
        )
        return lengths == [0, 0, 0]


class Processes:
    """The scheduler processes that a test starts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        environ = {"RPN_REDIS_URL": self._url, "RPN_SCHEDULER_LEASE_S": str(LEASE_S)}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scheduler"], env=environ, stderr=subprocess.PIPE
        )
        self.running.append(process)
        return process

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()


async def until(true: Callable[[], Any]) -> None:
    """Ask until it is true, or fail; `true` may be a coroutine function, and the store away."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(StoreUnavailable):
                answer = true()
                if await answer if asyncio.iscoroutine(answer) else answer:
                    return
            await asyncio.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path) as started:
        yield started


@pytest.fixture
def processes(server: EmbeddedServer) -> Iterator[Processes]:
    found = Processes(server.url)
    yield found
    found.end()


@pytest.fixture
async def gateway(server: EmbeddedServer) -> AsyncIterator[Gateway]:
    found = Gateway(server.url)
    delivering = asyncio.create_task(found.deliver())
    yield found
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)
    await found.connection.close()


async def leader(gateway: Gateway) -> bytes:
    return bytes(await gateway.connection.command("GET", gateway.keys.lease) or b"")


async def another_leads(gateway: Gateway, former: bytes) -> bool:
    return await leader(gateway) not in (b"", former)


async def test_requests_and_tasks_go_through_a_scheduler_process(
    gateway: Gateway, processes: Processes
) -> None:
    process = processes.start()
    await until(lambda: leader(gateway))
    await gateway.join("a", resources())
    await gateway.join("sub", resources(cores=1), accepts=())
    await gateway.ask("x", "sub", Requirements(cpu=300, memory=100))
    await gateway.ask("y", "sub", Requirements(cpu=9999))
    for number in range(10):
        await gateway.submit(f"t{number}")
    await until(gateway.idle)
    await until(lambda: len(gateway.answers()) == 2)
    answers = {each.allocation.id: each.allocation for each in gateway.answers()}
    assert (answers["x"].fulfilled, answers["y"].fulfilled) == (True, False)
    assert list(await gateway.held()) == ["x"]
    assert await gateway.lives(10) == [TaskState.SUCCEEDED] * 10
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
    assert await leader(gateway) == b""


async def test_a_standby_takes_over_from_a_killed_leader_and_nothing_is_lost(
    gateway: Gateway, processes: Processes
) -> None:
    await gateway.join("a", resources(cores=64))
    await gateway.join("b", resources(cores=64))
    await gateway.join("sub", resources(cores=1), accepts=())
    for round_ in range(3):
        process = processes.start()
        if round_ == 0:
            await until(lambda: leader(gateway))
            continue
        for number in range(20):
            await gateway.ask(f"x{round_}-{number}", "sub", Requirements(cpu=50, memory=10))
            await gateway.submit(f"t{(round_ - 1) * 20 + number}")
            if number == 10:
                processes.running[round_ - 1].kill()
        await until(gateway.idle)
        await until(lambda: leader(gateway))  # the one that is left
        assert process.poll() is None
    await until(lambda: len(gateway.answers()) >= 40)
    assert len({each.allocation.id for each in gateway.answers()}) == 40
    assert all(each.allocation.fulfilled for each in gateway.answers())
    assert len(await gateway.held()) == 16, "a plain client holds no more than its limit"
    assert await gateway.lives(40) == [TaskState.SUCCEEDED] * 40
    inbox = await gateway.connection.command("HKEYS", gateway.keys.inbox("sub"))
    assert len(inbox) == 40 + 16, "one result a task, and the answers that still hold"


async def test_a_leader_that_was_frozen_beyond_its_lease_changes_nothing_when_it_wakes(
    gateway: Gateway, processes: Processes
) -> None:
    await gateway.join("a", resources(cores=64))
    await gateway.join("sub", resources(cores=1), accepts=())
    frozen = processes.start()
    await until(lambda: leader(gateway))
    fence = await leader(gateway)
    processes.start()
    frozen.send_signal(signal.SIGSTOP)
    for number in range(10):
        await gateway.ask(f"x{number}", "sub", Requirements(cpu=50, memory=10))
        await gateway.submit(f"t{number}")
    await until(gateway.idle)
    await until(lambda: another_leads(gateway, fence))
    frozen.send_signal(signal.SIGCONT)
    await gateway.ask("x10", "sub", Requirements(cpu=50))
    await until(lambda: len(gateway.answers()) == 11)
    assert await leader(gateway) != fence
    assert frozen.poll() is None
    assert len(await gateway.held()) == 11
    assert await gateway.lives(10) == [TaskState.SUCCEEDED] * 10


async def test_a_leader_that_ends_in_order_hands_over_at_once(gateway: Gateway, processes: Processes) -> None:
    first = processes.start()
    await until(lambda: leader(gateway))
    fence = await leader(gateway)
    processes.start()
    await gateway.join("a", resources())
    first.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(first.wait, PATIENCE_S) == 0
    await gateway.ask("x", "a", Requirements(cpu=100))
    await until(lambda: len(gateway.answers()) == 1)
    assert await leader(gateway) != fence


async def test_a_scheduler_waits_for_its_server_and_works_when_it_is_there(
    server: EmbeddedServer, processes: Processes, gateway: Gateway
) -> None:
    await gateway.join("a", resources())
    server.stop()
    process = processes.start()
    server.start()
    await until(lambda: leader(gateway))
    await gateway.ask("x", "a", Requirements(cpu=100))
    await until(gateway.held)
    assert process.poll() is None


def test_a_bad_setting_names_itself(processes: Processes) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "scheduler"],
        env={"RPN_SCHEDULER_LEASE_S": "soon"},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 2
    assert b"RPN_SCHEDULER_LEASE_S" in done.stderr
