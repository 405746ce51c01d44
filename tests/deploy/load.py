"""Devices on rpn.client that report, submit and run tasks at a steady rate, and tell how they were served."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rpn.client.device import Device
from rpn.client.servers import parse_servers
from rpn.messages import (
    Ack,
    Acked,
    DeviceLeft,
    Error,
    FinishedAttempt,
    FromServer,
    Message,
    Register,
    ResourceUpdate,
    TaskAssign,
    TaskDone,
    TaskResultMessage,
    TaskSubmit,
)
from rpn.model import Requirements, Resources, Task, TaskResult
from tests.support.make import resources

WORKERS = 20
"""devices that run tasks; they hear no broadcasts, like an agent"""
PLAIN = 20
"""devices that speak only what every client may; they hear everything"""
LOOK_EVERY_S = 0.05
TB = 2**20
"""in MB"""
HAS: Resources = resources(memory_available=64 * TB, memory_total=64 * TB)
LITTLE = Requirements(cpu=10, memory=2 * TB)
"""little for a worker of ours, but more than a real machine has: its agent would start a process for each"""


class Member:
    """One device of the load, from its first connection to its last."""

    def __init__(self, servers: list[str], number: int) -> None:
        self.device_id = f"load-{number:03d}"
        self.open: dict[str, TaskSubmit] = {}
        """submitted, and without an outcome so far"""
        self.outcomes: dict[str, Any] = {}
        """task -> its result"""
        self.complaints: list[Message] = []
        """what should not come: refusals, and results that are not the right ones"""
        self.left: list[str] = []
        """devices it heard leaving"""
        self.served_s = self._now_s()
        """when its latest result came"""
        self.longest_gap_s = 0.0
        """between two results"""
        self._works, self._plain = number < WORKERS, WORKERS <= number < WORKERS + PLAIN
        self._finished: dict[str, FinishedAttempt] = {}
        self._sent_s: dict[str, float] = {}
        self._newest_served_s = 0.0
        self.device = Device(servers, self._register, self._heard, on_online=self._online)

    def turn(self, number: int) -> None:
        """Report, and submit a task that brings `number` back."""
        task = Task(
            id=f"task-{number}",
            type="compute",
            submitter_id=self.device_id,
            requirements=LITTLE,
            data={"command": "echo", "input": number},
        )
        submit = self.open[task.id] = TaskSubmit(task=task, request_id=task.id)
        self._sent_s[task.id] = self._now_s()
        self.device.send(ResourceUpdate(device_id=self.device_id, resources=HAS), submit)

    def served_since(self, since_s: float) -> bool:
        """Whether a task submitted after that moment has its result."""
        return self._newest_served_s > since_s

    def _register(self) -> Register:
        named = Register(device_id=self.device_id, device_name=self.device_id, platform="linux")
        if self._plain:
            return named
        return Register(
            device_id=self.device_id,
            device_name=self.device_id,
            platform="linux",
            accepts=frozenset({"acks", "tasks"} if self._works else {"acks"}),
            receives="none",
            running=[] if self._works else None,
            finished=list(self._finished.values()),
        )

    def _online(self) -> None:
        """Say again what is open: the ids make that safe."""
        self.device.send(ResourceUpdate(device_id=self.device_id, resources=HAS), *self.open.values())

    def _heard(self, message: FromServer) -> None:
        if isinstance(message, TaskResultMessage):
            self._take(message)
        elif isinstance(message, TaskAssign):
            self._work(message)
        elif isinstance(message, Acked):
            for attempt in message.ids:
                self._finished.pop(attempt, None)
        elif isinstance(message, DeviceLeft):
            self.left.append(message.device_id)
        elif isinstance(message, Error):
            self.complaints.append(message)

    def _take(self, message: TaskResultMessage) -> None:
        if not self._plain:
            self.device.send(Ack(ids=[message.task_id]))
        if self.outcomes.setdefault(message.task_id, message.result) != message.result:
            self.complaints.append(message)  # it may be told twice, but not have two outcomes
        submit = self.open.pop(message.task_id, None)
        if submit is None:
            return
        if message.result != {"success": True, "result": submit.task.data["input"]}:
            self.complaints.append(message)
        now_s = self._now_s()
        self.longest_gap_s, self.served_s = max(self.longest_gap_s, now_s - self.served_s), now_s
        self._newest_served_s = max(self._newest_served_s, self._sent_s.pop(message.task_id))

    def _work(self, assign: TaskAssign) -> None:
        result = TaskResult(success=True, result=assign.data["input"])
        done = FinishedAttempt(task_id=assign.task_id, attempt=assign.attempt, result=result)
        self._finished[assign.attempt] = done
        self.device.send(TaskDone(task_id=assign.task_id, attempt=assign.attempt, result=result))

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


class Load:
    """`devices` of them, `rate` tasks a second in turn, for as long as the block lasts."""

    def __init__(self, urls: list[str], *, devices: int, rate: float) -> None:
        servers = parse_servers(",".join(urls))
        self.members = [Member(servers, number) for number in range(devices)]
        self.submitted = 0
        self._rate = rate
        self._group = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []
        self._driving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Load:
        await self._group.__aenter__()
        self._running = [self._group.create_task(member.device.run()) for member in self.members]
        await asyncio.gather(*(member.device.online.wait() for member in self.members))
        for member in self.members:
            member.served_s = asyncio.get_running_loop().time()
        self._driving = self._group.create_task(self._drive())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        if self._driving is not None:
            self._driving.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as failures:
            if list(failures.exceptions) != [error]:
                raise
            # the block's own error goes on as it is, when this returns

    async def _drive(self) -> None:
        """A turn each 1/rate seconds, whatever became of those before; late ones are made up for."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number, member in enumerate(itertools.cycle(self.members)):
            await asyncio.sleep(max(0.0, began_s + number / self._rate - loop.time()))
            member.turn(number)
            self.submitted += 1

    async def serves_everyone(self, *, within_s: float) -> None:
        """Wait until each device has the result of a task that it submitted from now on."""
        since_s = asyncio.get_running_loop().time()
        await self._until(lambda member: member.served_since(since_s), "has a result", within_s)

    async def settle(self, *, within_s: float) -> None:
        """Submit nothing more, and wait for the outcome of every task."""
        assert self._driving is not None
        self._driving.cancel()
        await self._until(lambda member: not member.open, "has all its results", within_s)

    async def _until(self, so: Callable[[Member], bool], what: str, within_s: float) -> None:
        """Wait until it is so of each; fails with those of whom it is not, and with what they complain of."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while waiting := [member for member in self.members if not so(member)]:
            if loop.time() > end_s:
                open_tasks = {member.device_id: list(member.open)[:3] for member in waiting[:5]}
                raise AssertionError(
                    f"not everyone {what} within {within_s} s: {len(waiting)} wait, for example "
                    f"{open_tasks}; complaints: {self.complaints[:3]}"
                )
            await asyncio.sleep(LOOK_EVERY_S)

    # --- how they were served -----------------------------------------------------------------

    @property
    def ids(self) -> set[str]:
        return {member.device_id for member in self.members}

    @property
    def complaints(self) -> list[Message]:
        return [complaint for member in self.members for complaint in member.complaints]

    @property
    def left(self) -> set[str]:
        """Those of ours that anybody heard leaving."""
        return {device_id for member in self.members for device_id in member.left} & self.ids

    @property
    def longest_gap_s(self) -> float:
        """The longest that any of them was without a result; it submits each devices/rate seconds."""
        return max(member.longest_gap_s for member in self.members)
