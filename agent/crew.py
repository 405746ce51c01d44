"""Warm workers: processes of the warden's that run one call after the other."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent import jail, proc
from agent.attempt import Attempt
from agent.files import removed
from agent.frames import Call, Hello, Reply, Splitter, framed, hellos, replies
from agent.limits import NICE
from agent.output import Log
from agent.pipes import Inflow, Pipes, pipes
from agent.spawner import CannotStart, End, Limits, Order, Spawned, Spawner, WardenLost, environment_in

CALLS_LIMIT = 10_000
"""calls that one worker runs before another takes its place"""
IDLE_LIMIT = max(2, os.cpu_count() or 1)
"""workers of one crew that wait for work"""
WORKING_LIMIT = 4 * IDLE_LIMIT
"""workers of one crew that work at once: what needs no cores is not limited by the pool"""
IDLE_S, SURPLUS_S = 60.0, 5.0
"""how long one waits before it ends; the same for those beyond IDLE_LIMIT"""
SWEEP_S = 5.0
_SOURCE = str(Path(__file__).resolve().parent.parent)


class WorkerGone(Exception):
    """The worker ended in the middle of a call; `end` says how."""

    def __init__(self, end: End) -> None:
        super().__init__("the worker is gone")
        self.end = end


class Trade:
    """What the workers of one crew are for, and what they are allowed."""

    def __init__(
        self,
        kind: str,
        *,
        processes: int,
        reads: list[str] | None = None,
        writes: list[str] | None = None,
        network: bool = False,
        calls_limit: int = CALLS_LIMIT,
        trusted: bool = True,
    ) -> None:
        self.kind = kind
        self.calls_limit = calls_limit
        self.trusted = trusted
        """what runs in it starts no processes"""
        self._limits = Limits(processes=processes, nice=NICE)
        self._reads, self._writes, self._network = reads or [], writes or [], network

    def order(self, folder: str) -> Order:
        return Order(
            folder,
            {**environment_in(folder), "PYTHONPATH": _SOURCE},
            argv=[sys.executable, "-P", "-s", "-m", "agent.worker", self.kind],
            limits=self._limits,
            reads=[_SOURCE, *jail.interpreter(), *self._reads],
            writes=self._writes,
            network=self._network,
        )


class Worker:
    """One warm process; `ask` it one thing at a time."""

    def __init__(
        self,
        spawned: Spawned,
        folder: str,
        spawner: Spawner,
        joined: Pipes,
        *,
        answers: _Answers,
        prints: _Prints,
    ) -> None:
        self.hello = Hello()
        self.cpu_s = 0.0
        """as it said last"""
        self.known: set[str] = set()
        """modules that it has"""
        self.calls = 0
        self.idle_since_s = 0.0
        self.spawned = spawned
        self.folder = folder
        self.answers = answers
        self.prints = prints
        self._pipes = joined
        self._spawner = spawner
        self._limits: Limits | None = None

    async def ask(self, call: Call, attempt: Attempt, limits: Limits) -> Reply:
        """Run a call for an attempt within these limits. Raises Stopped, WorkerGone."""
        self.calls += 1
        await attempt.works(self.spawned, self._spawner, cpu_before_s=self.cpu_s)
        if limits != self._limits:
            self._limits = limits
            await self._spawner.limit(self.spawned, limits)
        answer = self.answers.expect()
        self._pipes.stdin.write(framed(call))
        body = await attempt.its(answer)
        if body is None:
            raise WorkerGone(await self.spawned.ended)
        reply = replies.decode(body)
        self.cpu_s = reply.cpu_s
        return reply

    @property
    def is_alone(self) -> bool:
        """It has no process beside it."""
        return not proc.children(self.spawned.started.result())

    async def end(self) -> None:
        """Kill it with all that it has started; returns when that is gone."""
        with suppress(WardenLost):  # whoever listens to the warden says so
            await self._spawner.kill(self.spawned)
            await self.spawned.ended
        self._pipes.close()
        await removed(self.folder)


class Crew:
    """The workers of one trade: started when they are needed, few of them kept."""

    def __init__(self, trade: Trade, spawner: Spawner) -> None:
        self._trade = trade
        self._spawner = spawner
        self._idle: list[Worker] = []
        self._places = asyncio.Semaphore(WORKING_LIMIT)

    async def take_place(self, attempt: Attempt) -> None:
        """Wait for a turn; `give_place_back` ends it. Raises Stopped."""
        if not self._places.locked():
            await self._places.acquire()
            return
        taking = asyncio.ensure_future(self._places.acquire())
        try:
            await attempt.unless_stopped(taking)
        except BaseException:
            if not taking.cancel():
                self._places.release()
            raise

    def give_place_back(self) -> None:
        self._places.release()

    async def hire(self) -> Worker:
        """A worker that is free, or a new one. Raises CannotStart, OSError."""
        while self._idle:
            worker = self._idle.pop()
            if not worker.answers.ended:
                return worker
            await worker.end()  # it was killed while it waited
        return await self._start()

    async def release(self, worker: Worker, *, stale: bool) -> None:
        """It has answered, and goes on unless something is left of what it did."""
        spent = stale or worker.calls >= self._trade.calls_limit
        if spent or not (self._trade.trusted or worker.is_alone):
            await worker.end()
            return
        worker.idle_since_s = _now_s()
        self._idle.append(worker)

    async def sweep(self, *, now_s: float) -> None:
        """End those that have waited too long; the latest are hired first, so the oldest stand in front."""
        surplus = len(self._idle) - IDLE_LIMIT
        old = [
            worker
            for index, worker in enumerate(self._idle)
            if worker.idle_since_s < now_s - (SURPLUS_S if index < surplus else IDLE_S)
        ]
        self._idle = [worker for worker in self._idle if worker not in old]
        for worker in old:
            await worker.end()

    async def _start(self) -> Worker:
        folder = self._spawner.new_folder()
        answers, prints = _Answers(), _Prints()
        hello = answers.expect()
        joined: Pipes | None = None
        try:
            joined = pipes(answers, prints)
            spawned = await self._spawner.start(self._trade.order(folder), joined.theirs)
        except BaseException:
            if joined is not None:
                joined.close()
            await removed(folder)
            raise
        worker = Worker(spawned, folder, self._spawner, joined, answers=answers, prints=prints)
        body = await hello
        if body is None:
            await worker.end()
            raise CannotStart(f"a worker for {self._trade.kind} does not start: {worker.prints.last}")
        worker.hello = hellos.decode(body)
        worker.cpu_s = worker.hello.cpu_s
        return worker


class Crews:
    """All crews, by what they are for. `run` ends those that nobody needs any more."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._crews: dict[str, Crew] = {}

    def of(self, name: str, trade: Callable[[], Trade]) -> Crew:
        if name not in self._crews:
            self._crews[name] = Crew(trade(), self._spawner)
        return self._crews[name]

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            for crew in list(self._crews.values()):
                await crew.sweep(now_s=_now_s())


class _Answers(asyncio.Protocol):
    """What a worker says, frame by frame."""

    def __init__(self) -> None:
        self.ended = False
        self._splitter = Splitter()
        self._expected: asyncio.Future[bytes | None] | None = None

    def expect(self) -> asyncio.Future[bytes | None]:
        """The next frame's body; None if there is none, because the worker is gone."""
        self._expected = asyncio.get_running_loop().create_future()
        if self.ended:
            self._expected.set_result(None)
        return self._expected

    def data_received(self, data: bytes) -> None:
        try:
            bodies = self._splitter.feed(data)
        except ValueError:  # it speaks another language by now
            self.connection_lost(None)
            return
        for body in bodies:
            if self._expected is not None and not self._expected.done():
                self._expected.set_result(body)

    def connection_lost(self, _: Exception | None) -> None:
        self.ended = True
        if self._expected is not None and not self._expected.done():
            self._expected.set_result(None)


class _Prints(asyncio.Protocol):
    """What a worker prints, for the log of the attempt it works for."""

    def __init__(self) -> None:
        self.last = ""
        """what it printed while it worked for nobody"""
        self._log: Log | None = None
        self._inflow: Inflow | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, Inflow):
            self._inflow = transport

    def begin(self, log: Log) -> None:
        self._log = log
        if self._inflow is not None:
            log.connection_made(self._inflow)

    def finish(self) -> None:
        """Pass on all that is printed by now."""
        log = self._log
        if log is None:
            return
        if self._inflow is not None:
            self._inflow.drain()
            self._inflow.resume_reading()
        self._log = None
        log.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        if self._log is not None:
            self._log.data_received(data)
        else:
            self.last = (self.last + data.decode(errors="replace"))[-1000:]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
