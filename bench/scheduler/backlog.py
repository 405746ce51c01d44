"""What 100,000 tasks that wait cost: to submit them, to keep them, and to take them over."""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import uvloop

from rpn.model import Requirements, Task
from rpn.replica import Replica
from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer
from rpn.store.follower import Follower
from rpn.store.keys import Keys
from rpn.store.steps import run_steps
from rpn.store.tasks import TaskLimits, Tasks
from scheduler.leader import Leader

PARTS = 10
TRIP = 250
"""submissions in one round trip, as a busy gateway makes them"""
LIMITS = TaskLimits(10_000_000, 10_000_000)
PAYLOAD = {"command": "echo", "input": "x" * 100}


class Site:
    """One pool without devices, and what a scheduler of it costs."""

    def __init__(self, connection: Connection, url: str) -> None:
        self.connection, self.keys = connection, Keys("default")
        self._settings = SchedulerSettings(redis_url=url, queue_timeout_s=86_400, infeasible_limit_s=86_400)

    async def submit(self, first: int, count: int) -> float:
        """Seconds."""
        tasks, started_s = Tasks(self.connection, self.keys), time.perf_counter()
        for start in range(first, first + count, TRIP):
            steps = [tasks.submit(_task(number), LIMITS) for number in range(start, start + TRIP)]
            await run_steps(self.connection, steps)
        return time.perf_counter() - started_s

    async def leading(self, tasks: int) -> tuple[Leader, asyncio.Task[None], float, float]:
        """A leader that has so many tasks, and the seconds until it decided and until it had them."""
        replica = Replica()
        follower = Follower(self.connection, self.keys, replica, lambda changes: None)
        following = asyncio.create_task(follower.run())
        await follower.ready()
        following.cancel()
        leader = Leader(self.connection, self.keys, self._settings, replica, follower.now_ms)
        started_s = time.perf_counter()
        running = asyncio.create_task(leader.run())
        while tasks and not leader.counts.commits:
            await asyncio.sleep(0.02)
        decided_s = time.perf_counter() - started_s
        while leader.standing().queued < tasks:  # which counts them all
            await asyncio.sleep(0.25)
        return leader, running, decided_s, time.perf_counter() - started_s


def _task(number: int) -> Task:
    need = Requirements(cpu=100 + number % 7, memory=512)
    return Task(id=f"task-{number:08}", type="compute", submitter_id="me", requirements=need, data=PAYLOAD)


def resident() -> int:
    """Bytes of this process."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def measure(tasks: int) -> None:
    with TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        connection = Connection(server.url)
        site = Site(connection, server.url)
        leader, running, *_ = await site.leading(0)
        before, part = resident(), tasks // PARTS
        for number in range(PARTS):
            took_s = await site.submit(number * part, part)
            while leader.standing().unheard or leader.standing().queued < (number + 1) * part:
                await asyncio.sleep(0.02)
            print(f"{(number + 1) * part:>9,} queued: {part / took_s:>7,.0f} submitted/s", flush=True)
        print(f"{(resident() - before) / tasks:.0f} bytes a task in the scheduler's process")
        await leader.step_down()
        await running
        del leader
        leader, running, decided_s, took_s = await site.leading(tasks)
        print(f"requests go on after {decided_s:.2f} s, all tasks are there after {took_s:.2f} s")
        await leader.step_down()
        await running
        await connection.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tasks", type=int, default=100_000)
    uvloop.run(measure(options.parse_args().tasks))


if __name__ == "__main__":
    main()
