"""An agent's runner on a bench: its work is real, what it reports is noted instead of sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from agent.attempt import Attempt
from agent.blob_cache import BlobCache
from agent.config import AgentConfig
from agent.meter import Meter
from agent.results import Results
from agent.runner import Runner
from agent.spawner import Spawner
from agent.workshop import Workshop
from rpn.client.blobs import Gateway
from rpn.messages import Message, TaskAssign, TaskCancelled, TaskDone, TaskProgressReport, TaskStarted
from rpn.model import TaskResult
from tests.support.patience import PATIENCE_S

NOBODY = Gateway("")
NOTHING = AgentConfig()


class Bench:
    """A runner whose reports are noted instead of sent."""

    def __init__(self, folder: Path, spawner: Spawner, config: AgentConfig, gateway: Gateway) -> None:
        self.sent: list[Message] = []
        self.results = Results(folder / "results")
        self.blobs = BlobCache(folder / "blobs", lambda: gateway)
        self.runner = Runner(Workshop(spawner, self.blobs, config), self.results, config, self._send)
        self.meter = Meter(self.runner)
        self._news = asyncio.Condition()
        self._spawner = spawner

    @property
    def warden(self) -> psutil.Process:
        return psutil.Process(self._spawner.warden_pid)

    @property
    def folder(self) -> Path:
        """Where what runs has its folders."""
        return self._spawner.work

    def _send(self, *messages: Message) -> bool:
        self.sent.extend(messages)
        return True

    async def until(self, condition: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s; {self._work_there_is()}") from None

    def _work_there_is(self) -> str:
        """For the text of a failure."""
        if not alive(self.warden):
            return "the warden is gone"
        states = Counter(each.status() for each in self.warden.children(recursive=True))
        return f"{len(self.runner.attempts)} attempts, the warden's processes: {dict(states)}"

    def done(self, assign: TaskAssign) -> list[TaskResult]:
        found = (message for message in self.sent if isinstance(message, TaskDone))
        return [message.result for message in found if message.attempt == assign.attempt]

    async def started(self, assign: TaskAssign) -> None:
        await self.until(lambda: TaskStarted(task_id=assign.task_id, attempt=assign.attempt) in self.sent)

    async def end_of(self, assign: TaskAssign) -> TaskResult:
        await self.until(lambda: bool(self.done(assign)))
        return self.done(assign)[0]

    async def run(self, assign: TaskAssign) -> TaskResult:
        self.runner.heard(assign)
        return await self.end_of(assign)

    def logs(self, assign: TaskAssign) -> str:
        found = (message for message in self.sent if isinstance(message, TaskProgressReport))
        return "".join(message.log or "" for message in found if message.attempt == assign.attempt)

    async def suspend(self, assign: TaskAssign) -> None:
        await self._attempt(assign).suspend(self._spawner)

    async def resume(self, assign: TaskAssign) -> None:
        await self._attempt(assign).resume(self._spawner)

    def _attempt(self, assign: TaskAssign) -> Attempt:
        return next(each for each in self.runner.attempts if each.attempt == assign.attempt)

    def cancel(self, assign: TaskAssign) -> None:
        self.runner.heard(TaskCancelled(task_id=assign.task_id, attempt=assign.attempt))

    def progress(self, assign: TaskAssign) -> list[float]:
        found = (message for message in self.sent if isinstance(message, TaskProgressReport))
        return [m.progress for m in found if m.attempt == assign.attempt and m.progress is not None]


@asynccontextmanager
async def workbench(
    folder: Path, config: AgentConfig = NOTHING, gateway: Gateway = NOBODY
) -> AsyncIterator[Bench]:
    """A runner at work, which leaves nothing behind in its work folder."""
    spawner = Spawner(folder / "work")
    made = Bench(folder, spawner, config, gateway)
    jobs = [asyncio.create_task(job()) for job in (made.runner.run, made.meter.run)]
    await asyncio.sleep(0)  # both have begun
    try:
        yield made
    finally:
        await spawner.close()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
    assert list((folder / "work").iterdir()) == []


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that its parent has only to take note of does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
