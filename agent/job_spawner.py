"""The spawner of Windows: each process in a job object, which is to it what the warden is elsewhere.

A job ends with the agent, however that ends. Nothing of a process runs before it is in its job with its
limits set; if that fails it never begins. Untested on a real Windows; the tests give it jobs of their own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, Protocol

import msgspec

from agent.platforms.windows_job import Job
from agent.spawner import CannotStart, End, Limits, Order, Spawned, Spawner

log = logging.getLogger(__name__)

CREATION_FLAGS = 0x4 | 0x200 | 0x4000 | 0x0800_0000
"""of Windows: suspended, a group of its own, below normal priority, no window"""
NEARLY = 0.98
"""A process that failed when it had so much of its memory failed for want of it."""
END_LIMIT_S = 10.0

Why = Literal["", "timeout", "oom", "left"]


class Holds(Protocol):
    """What holds a process and all it starts: a `Job`."""

    @property
    def processes(self) -> int: ...

    @property
    def peak_memory_mb(self) -> float: ...

    def hold_to(self, limits: Limits) -> None: ...

    def take(self, process: int) -> None: ...

    def suspend(self) -> None: ...

    def resume(self) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


class _Running:
    """A process, its job, and when its time is over."""

    def __init__(self, spawned: Spawned, process: subprocess.Popen[bytes], job: Holds) -> None:
        self.spawned = spawned
        self.process = process
        self.job = job
        self.limits = Limits()
        self.why: Why = ""
        self._alarm: asyncio.TimerHandle | None = None

    def hold_to(self, limits: Limits) -> None:
        """From now on these; its time begins anew. The job is told by others."""
        self.limits = limits
        self.forget_time()
        if not isinstance(limits.wall_s, msgspec.UnsetType):
            self._alarm = asyncio.get_running_loop().call_later(limits.wall_s, self._end_late)

    def forget_time(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def _end_late(self) -> None:
        self.why = "timeout"
        self.job.end()

    def end(self, status: int) -> End:
        """How it ended; what it has left is ended, too."""
        self.forget_time()
        why = self.why
        if not why and status and self._was_full():
            why = "oom"
        if self.job.processes:
            why = why or "left"
            self.job.end()
        self.job.close()
        return End(status, why)

    def _was_full(self) -> bool:
        limit_mb = self.limits.memory_mb
        return not isinstance(limit_mb, msgspec.UnsetType) and self.job.peak_memory_mb >= NEARLY * limit_mb


class JobSpawner(Spawner):
    """Does what Spawner does, without a warden; files in a task's folder are not counted."""

    creation_flags = CREATION_FLAGS

    def _begin(self) -> None:
        self._running: dict[int, _Running] = {}

    def _job(self, limits: Limits) -> Holds:
        return Job(limits)

    @property
    def warden_pid(self) -> int:
        return os.getpid()

    async def serve(self) -> None:
        """Nothing can be lost here: the kernel does what the warden does."""
        await asyncio.Event().wait()

    async def start(self, order: Order, streams: tuple[int, int, int]) -> Spawned:
        spawned = Spawned(next(self._numbers))
        try:
            running = self._start(spawned, order, streams)
        except (OSError, ValueError) as error:
            raise CannotStart(f"{order.argv[0]}: {error}") from None
        finally:
            for fd in streams:
                os.close(fd)
        running.hold_to(order.limits)
        self._running[spawned.number] = running
        spawned.started.set_result(running.process.pid)
        waiting = threading.Thread(target=self._wait, args=(running, asyncio.get_running_loop()), daemon=True)
        waiting.start()
        return spawned

    def _start(self, spawned: Spawned, order: Order, streams: Sequence[int]) -> _Running:
        job = self._job(self._allowed(order.limits))
        try:
            process = self._suspended(order, streams)
            try:
                job.take(int(getattr(process, "_handle", process.pid)))
            except OSError:
                process.kill()
                process.wait()
                raise
            return _Running(spawned, process, job)
        except OSError:
            job.close()
            raise

    def _suspended(self, order: Order, streams: Sequence[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - argv is the owner's
            list(order.argv),
            executable=order.program or None,
            cwd=order.folder,
            env=order.env,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            creationflags=self.creation_flags,
        )

    def _allowed(self, limits: Limits) -> Limits:
        """The limits, within the owner's share of the processors."""
        if self.cpu_share is None:
            return limits
        asked = self.cpu_share if isinstance(limits.cpu, msgspec.UnsetType) else limits.cpu
        return msgspec.structs.replace(limits, cpu=min(asked, self.cpu_share))

    def _wait(self, running: _Running, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own: Windows tells the end of a process to nobody who does not wait for it."""
        status = running.process.wait()
        with suppress(RuntimeError):  # the loop is gone, and the agent with it
            loop.call_soon_threadsafe(self._ended, running, status)

    def _ended(self, running: _Running, status: int) -> None:
        del self._running[running.spawned.number]
        try:
            end = running.end(status)
        except OSError as error:
            log.error("a job tells nothing of its end: %s", error)
            end = End(status, running.why)
        if not running.spawned.ended.done():
            running.spawned.ended.set_result(end)

    async def kill(self, spawned: Spawned) -> None:
        if running := self._running.get(spawned.number):
            running.job.end()

    async def suspend(self, spawned: Spawned) -> None:
        if running := self._running.get(spawned.number):
            running.job.suspend()

    async def resume(self, spawned: Spawned) -> None:
        if running := self._running.get(spawned.number):
            running.job.resume()

    async def limit(self, spawned: Spawned, limits: Limits) -> None:
        if running := self._running.get(spawned.number):
            running.job.hold_to(self._allowed(limits))
            running.hold_to(limits)

    async def close(self) -> None:
        """End every task; returns when they are gone."""
        ends = [running.spawned.ended for running in self._running.values()]
        for running in self._running.values():
            running.job.end()
        if ends:
            await asyncio.wait(ends, timeout=END_LIMIT_S)
        self._remove_work()
