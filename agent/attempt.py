"""One attempt at one task, from its process's start to its result."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress

from agent.ending import explained
from agent.limits import limits_for
from agent.output import Collector, Log, result_of, too_much
from agent.plan import Plan, rejected
from agent.spawner import CannotStart, End, Order, Spawned, Spawner, WardenLost, minimal_environment
from rpn.messages import TaskAssign
from rpn.model import TaskResult

LAST_WORDS_S = 1.0
"""How long we read on after a task has ended, should something still hold its streams."""


class Attempt:
    """`stop` may be called at any time; `run` then ends with the result given there."""

    def __init__(
        self,
        assign: TaskAssign,
        plan: Plan,
        *,
        on_started: Callable[[Attempt], None],
        on_log: Callable[[Attempt, str], None],
    ) -> None:
        self.task_id = assign.task_id
        self.attempt = assign.attempt
        self.plan = plan
        self.requirements = assign.requirements
        self.pid: int | None = None
        """of the process that leads it, while it runs"""
        self.begun = False
        """False while it waits for its turn"""
        self._on_started = on_started
        self._on_log = on_log
        self._verdict: TaskResult | None = None
        self._stopped = asyncio.Event()
        self._spawned: Spawned | None = None
        self._suspended = False

    def stop(self, result: TaskResult) -> None:
        """Kill what runs; `result` is the outcome, unless there is one already."""
        if self._verdict is None:
            self._verdict = result
        self._stopped.set()

    async def suspend(self, spawner: Spawner) -> None:
        """Let it stand still, from its start if it has not begun."""
        self._suspended = True
        if self._spawned is not None:
            await spawner.suspend(self._spawned)

    async def resume(self, spawner: Spawner) -> None:
        """Let it go on."""
        self._suspended = False
        if self._spawned is not None:
            await spawner.resume(self._spawned)

    async def run(self, spawner: Spawner) -> TaskResult:
        """Run in a folder of its own, which is gone afterwards, and tell how it ended."""
        self.begun = True
        try:
            folder = tempfile.mkdtemp(dir=spawner.work)
            try:
                return await self._run_in(folder, spawner)
            finally:
                self.pid = self._spawned = None
                await _remove(folder)
        except (CannotStart, OSError) as error:
            return rejected(f"cannot start {self.plan.name}: {error}")

    async def _run_in(self, folder: str, spawner: Spawner) -> TaskResult:
        output = Collector(lambda: self.stop(too_much()))
        log = Log(lambda text: self._on_log(self, text))
        streams, transports = await _connect(self.plan.input, output, log)
        try:
            order = self._order(folder)
            spawned = await spawner.start(order, streams)
            self.pid, self._spawned = spawned.started.result(), spawned
            if self._suspended:
                await spawner.suspend(spawned)
            self._on_started(self)
            end = await self._until_ended(spawned, spawner)
            await asyncio.wait({output.ended, log.ended}, timeout=LAST_WORDS_S)
        finally:
            for transport in transports:
                transport.close()
        if self._verdict is not None:
            return self._verdict
        return explained(end, order.limits, log.tail) or result_of(bytes(output.written))

    def _order(self, folder: str) -> Order:
        env = {"PATH": os.defpath, **minimal_environment(os.environ), "TMPDIR": folder, "HOME": folder}
        limits = limits_for(self.plan, self.requirements)
        command = self.plan.command
        if command is None:
            return Order(folder, env, builtin=self.plan.name, limits=limits)
        return Order(
            folder,
            env,
            argv=command.argv,
            limits=limits,
            reads=command.places,
            writes=command.writes,
            network=command.network,
            gpu=self.requirements.gpu,
        )

    async def _until_ended(self, spawned: Spawned, spawner: Spawner) -> End:
        async with asyncio.TaskGroup() as group:
            killer = group.create_task(self._kill_when_stopped(spawned, spawner))
            end = await spawned.ended
            killer.cancel()
        return end

    async def _kill_when_stopped(self, spawned: Spawned, spawner: Spawner) -> None:
        await self._stopped.wait()
        with suppress(WardenLost):  # whoever listens to the warden says so
            await spawner.kill(spawned)


async def _connect(
    given: bytes, output: Collector, log: Log
) -> tuple[tuple[int, int, int], list[asyncio.BaseTransport]]:
    """Pipes for the three streams: the task's ends, and what holds ours."""
    loop = asyncio.get_running_loop()
    stdin, stdin_in = os.pipe()
    stdout_out, stdout = os.pipe()
    stderr_out, stderr = os.pipe()
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(stdin_in, "wb", 0))
    writer.write(given)
    writer.write_eof()
    reader, _ = await loop.connect_read_pipe(lambda: output, os.fdopen(stdout_out, "rb", 0))
    logger, _ = await loop.connect_read_pipe(lambda: log, os.fdopen(stderr_out, "rb", 0))
    return (stdin, stdout, stderr), [writer, reader, logger]


async def _remove(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # it holds something
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
