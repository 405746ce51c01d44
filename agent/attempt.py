"""One attempt at one task, from its process's start to its result."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress

from agent.output import Collector, Log, result_of, too_much
from agent.plan import Plan, failed, rejected
from agent.spawner import CannotStart, Order, Spawned, Spawner, WardenLost, minimal_environment
from rpn.messages import TaskAssign
from rpn.model import Outcome, TaskResult

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
        self.pid: int | None = None
        """of the process that leads it, while it runs"""
        self.begun = False
        """False while it waits for its turn"""
        self._on_started = on_started
        self._on_log = on_log
        self._verdict: TaskResult | None = None
        self._stopped = asyncio.Event()

    def stop(self, result: TaskResult) -> None:
        """Kill what runs; `result` is the outcome, unless there is one already."""
        if self._verdict is None:
            self._verdict = result
        self._stopped.set()

    async def run(self, spawner: Spawner) -> TaskResult:
        """Run in a folder of its own, which is gone afterwards, and tell how it ended."""
        self.begun = True
        try:
            folder = tempfile.mkdtemp(dir=spawner.work)
            try:
                return await self._run_in(folder, spawner)
            finally:
                self.pid = None
                await _remove(folder)
        except (CannotStart, OSError) as error:
            return rejected(f"cannot start {self.plan.name}: {error}")

    async def _run_in(self, folder: str, spawner: Spawner) -> TaskResult:
        output = Collector(lambda: self.stop(too_much()))
        log = Log(lambda text: self._on_log(self, text))
        streams, transports = await _connect(self.plan.input, output, log)
        try:
            spawned = await spawner.start(self._order(folder), streams)
            self.pid = spawned.started.result()
            self._on_started(self)
            status = await self._until_ended(spawned, spawner)
            await asyncio.wait({output.ended, log.ended}, timeout=LAST_WORDS_S)
        finally:
            for transport in transports:
                transport.close()
        if self._verdict is not None:
            return self._verdict
        if status == 0:
            return result_of(bytes(output.written))
        return failed(Outcome.EXIT, "\n".join(filter(None, (_described(status), log.tail.strip()))))

    def _order(self, folder: str) -> Order:
        env = {"PATH": os.defpath, **minimal_environment(os.environ), "TMPDIR": folder}
        if self.plan.argv is None:
            return Order(folder, env, builtin=self.plan.name)
        return Order(folder, env, argv=self.plan.argv)

    async def _until_ended(self, spawned: Spawned, spawner: Spawner) -> int:
        timeout_s = self.plan.timeout_s
        async with asyncio.TaskGroup() as group:
            killer = group.create_task(self._kill_when_stopped(spawned, spawner))
            if timeout_s is None:
                status = await spawned.ended
            else:
                late = failed(Outcome.TIMEOUT, f"ran longer than {timeout_s:g} s")
                alarm = asyncio.get_running_loop().call_later(timeout_s, self.stop, late)
                status = await spawned.ended
                alarm.cancel()
            killer.cancel()
        return status

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


def _described(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


async def _remove(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # it holds something
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
