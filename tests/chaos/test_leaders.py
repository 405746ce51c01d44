"""Leaders that are killed or stopped all the time, under load: one answer each, and nothing is oversold."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import httpx
import pytest

from rpn.codec import unpack_record
from rpn.model import Requirements, Share
from rpn.store.embedded import EmbeddedServer
from rpn.store.records import AllocationRecord
from tests.support.cluster import clean_environment
from tests.support.logbook import steps
from tests.support.ports import free_ports
from tests.support.scheduling import resources
from tests.support.storefront import Storefront

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.soak]

RATE = 2000
"""requests a second"""
FOR_S = 30.0
TROUBLE_EVERY_S = 1.2
LEASE_S = 0.4
TICK_S = 0.05
PATIENCE_S = 30.0
"""without any progress"""
CORES, MEMORY_MB = 16, 100_000
DEVICES = {f"d{number}": resources(cores=CORES, memory=MEMORY_MB) for number in range(20)}
REQUESTERS = [f"r{number}" for number in range(50)]
FULFILLED_PART = 50
"""one of so many requests is fulfilled at least"""
TAKEOVER_LIMIT_S = 3.0
"""with the default lease"""


class Scheduler:
    """A process that leads or stands by."""

    def __init__(self, url: str, port: int, **settings: object) -> None:
        told = {"RPN_REDIS_URL": url, "RPN_LOG_LEVEL": "error", "RPN_METRICS_PORT": port, **settings}
        told["RPN_SILENCE_LIMIT_S"] = 3600  # these devices never say anything again
        self._ready = f"http://127.0.0.1:{port}/readyz"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scheduler"], env=clean_environment(told), stdin=subprocess.DEVNULL
        )

    async def leads(self) -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=0.5) as client:
            try:
                return bool((await client.get(self._ready)).json() == {"status": "leading"})
            except httpx.HTTPError:
                return False

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Schedulers:
    """Three of them, all the time: one leads, one is ready to, and one may just be starting."""

    def __init__(self, url: str, **settings: object) -> None:
        self._url, self._settings = url, settings
        self._running = [self._started() for _ in range(3)]

    def _started(self) -> Scheduler:
        [port] = free_ports(1)
        return Scheduler(self._url, port, **self._settings)

    async def leader(self) -> Scheduler:
        """Whoever leads, once one does alone: who stood still may believe for a moment that it still does."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await asyncio.gather(*[each.leads() for each in self._running])
                leading = [each for each, leads in zip(self._running, found, strict=True) if leads]
                if len(leading) == 1:
                    return leading[0]
                await asyncio.sleep(0.02)

    def replace(self, scheduler: Scheduler) -> None:
        """kill -9, and another comes."""
        scheduler.kill()
        self._running.remove(scheduler)
        self._running.append(self._started())

    def end(self) -> None:
        for each in self._running:
            each.kill()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Storefront]:
    with EmbeddedServer(tmp_path) as server:
        front = Storefront(server.url)
        await front.connection.command("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
        await front.let_in({**DEVICES, **dict.fromkeys(REQUESTERS)})
        yield front
        await front.close()


async def another_leads(front: Storefront, former: bytes) -> float:
    """How long it takes until somebody with another fence leads."""
    started = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        while await front.connection.command("GET", front.keys.lease) in (None, former):
            await asyncio.sleep(0.01)
    return time.monotonic() - started


async def ask_for(front: Storefront, seconds: float) -> list[str]:
    """Requests at `RATE`, whatever happens; their ids."""
    asked: list[str] = []
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        ids = [f"x{number}" for number in range(len(asked), int(elapsed * RATE))]
        await front.ask({each: _wish() for each in ids})
        asked += ids
        await asyncio.sleep(TICK_S)
    return asked


def _wish() -> tuple[str, Requirements, int]:
    """Most of it for so short that the pool is always nearly full, and never for long with the same."""
    if random.random() < 0.2:  # as long as the requester is there, or until it asks for too much
        return random.choice(REQUESTERS), Requirements(cpu=5, memory=10), 0
    need = Requirements(cpu=random.choice([20, 150, 700, 2500]), memory=random.choice([10, 3000]))
    return random.choice(REQUESTERS), need, 300


async def all_answered(front: Storefront, asked: list[str]) -> None:
    """Wait for as long as answers come."""
    while (before := len(front.answers)) < len(asked):
        async with asyncio.timeout(PATIENCE_S):
            while len(front.answers) == before:
                await asyncio.sleep(0.02)


async def trouble(front: Storefront, schedulers: Schedulers, *, kill: bool) -> float:
    """Kill whoever leads, or stop it until another leads; how long that took."""
    leader = await schedulers.leader()
    fence = await front.connection.command("GET", front.keys.lease) or b""
    if kill:
        schedulers.replace(leader)
        return await another_leads(front, fence)
    leader.signal(signal.SIGSTOP)
    try:
        return await another_leads(front, fence)
    finally:
        leader.signal(signal.SIGCONT)


async def test_no_request_is_lost_or_answered_twice_and_no_device_oversold(
    front: Storefront, tmp_path: Path
) -> None:
    schedulers = Schedulers(front.url, RPN_SCHEDULER_LEASE_S=LEASE_S)
    took_s: list[float] = []
    try:
        await schedulers.leader()
        asking = asyncio.create_task(ask_for(front, FOR_S))
        while not asking.done():
            await asyncio.sleep(TROUBLE_EVERY_S)
            took_s.append(await trouble(front, schedulers, kill=len(took_s) % 2 == 0))
        asked = await asking
        await all_answered(front, asked)
        await asyncio.sleep(1)  # a second answer would come now
    finally:
        schedulers.end()
    assert set(front.answers) == set(asked)
    assert set(front.answers.values()) == {1}
    assert len(front.fulfilled) > len(asked) / FULFILLED_PART, "hardly anything was held: this says little"
    commits, most = check_history(tmp_path)
    print(
        f"\n{len(asked)} requests, {len(front.fulfilled)} fulfilled, {commits} steps that held or freed; "
        f"{len(took_s)} leaders killed or stopped, the next led after {median(took_s):.2f} s "
        f"(at most {max(took_s):.2f} s); a device gave at most {most} of {CORES * 100} core-percent"
    )


def check_history(directory: Path) -> tuple[int, int]:
    """At no point of the history did a device give more than it has; answers how many, and the most."""
    held: dict[bytes, list[Share]] = {}
    cpu: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    changes = most = 0

    def count(shares: list[Share], sign: int) -> None:
        for share in shares:
            cpu[share.device_id] += sign * share.allocated_cpu
            memory[share.device_id] += sign * share.allocated_memory

    for step in steps(directory):
        for word, key, *arguments in step:
            if not key.endswith(b":allocations"):
                continue
            changes += 1
            sets = word.upper() == b"HSET"
            for name in arguments[::2] if sets else arguments:
                count(held.pop(name, []), -1)
            for name, record in zip(arguments[::2], arguments[1::2], strict=True) if sets else ():
                held[name] = unpack_record(AllocationRecord, record).shares
                count(held[name], 1)
        most = max(most, *cpu.values(), 0)
        assert most <= CORES * 100
        assert max(memory.values(), default=0) <= MEMORY_MB
    assert changes, "the history is empty"
    return changes, most


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_with_the_default_lease_another_leads_soon(front: Storefront, end: signal.Signals) -> None:
    schedulers = Schedulers(front.url)
    try:
        took_s = await trouble(front, schedulers, kill=end is signal.SIGKILL)
        await front.ask({"x": (REQUESTERS[0], Requirements(cpu=100), 0)})
        async with asyncio.timeout(PATIENCE_S):
            while not front.answers:
                await asyncio.sleep(0.01)
    finally:
        schedulers.end()
    print(f"\nanother led {took_s:.2f} s after the leader was {end.name}")
    assert took_s < TAKEOVER_LIMIT_S
