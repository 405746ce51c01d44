"""A thousand tasks of every kind on one agent, many of them cancelled: one result each, nothing left."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest

from agent.config import AgentConfig, Command, Python
from rpn.messages import Acked, TaskAssign, TaskDone
from tests.support import make
from tests.support.blob_double import BlobDouble, blob_double
from tests.support.workbench import Bench, workbench

pytestmark = pytest.mark.soak

COUNT = 1000
MEMORY_GROWTH_MB = 64
PROCESSES_LIMIT = 160
"""warm workers, programs, and what those have started"""
EXAMPLE = Path(__file__).parents[2] / "examples" / "wasm" / "mandelbrot.wasm"
CONFIG = AgentConfig(
    {
        "true": Command(["true"]),
        "family": Command(["sh", "-c", "sleep 0.2 & sleep 0.2; wait"], max_parallel=8),
        "write": Command(
            [sys.executable, "-S", "-c", "import sys; sys.stderr.write('x' * 9999); print('y' * 9999)"],
            max_parallel=8,
        ),
    },
    python=Python(allow=True, submitters=["a", "b"]),
)


def _slow(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


def _pickled(function: Any, *args: Any) -> str:
    return base64.b64encode(cloudpickle.dumps((function, args, {}))).decode()


def assigns(chance: random.Random, double: BlobDouble) -> list[TaskAssign]:
    module = {"module": {"blob": double.add(EXAMPLE.read_bytes())}, "args": ["16", "4", "50"]}
    file = {"blob": double.add(b"content")}
    kinds: list[dict[str, Any]] = [
        {"data": {"command": "echo", "input": [1]}},
        {"data": {"command": "sleep", "input": 0.05}},
        {"data": {"command": "sha256", "input": "abc"}},
        {"data": {"command": "primes", "input": 1000}},
        {"data": {"command": "true", "files": {"a": file}, "outputs": ["a"]}},
        {"data": {"command": "family"}},
        {"data": {"command": "write"}},
        {"data": {"command": "nothing of ours"}},
        {"task_type": "wasm", "data": module},
        {"task_type": "python", "submitter_id": "a", "data": {"callable": _pickled(_slow, 0.01)}},
        {"task_type": "python", "submitter_id": "b", "data": {"callable": _pickled(os._exit, 1)}},
        {"task_type": "python", "submitter_id": "c", "data": {"callable": _pickled(_slow, 0)}},
    ]
    return [make.assign(**chance.choice(kinds), memory=256) for _ in range(COUNT)]


async def submit(bench: Bench, tasks: list[TaskAssign], chance: random.Random) -> int:
    """Hand all tasks in, a few at a time, and cancel a quarter at some moment; the most processes seen."""
    most = 0
    for start in range(0, len(tasks), 20):
        for assign in tasks[start : start + 20]:
            bench.runner.heard(assign)
            if chance.random() < 0.25:
                asyncio.get_running_loop().call_later(chance.random() * 0.3, bench.cancel, assign)
        await asyncio.sleep(0.02)
        most = max(most, len(bench.warden.children(recursive=True)))
    return most


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_thousand_tasks_of_every_kind_leave_nothing_behind(tmp_path: Path) -> None:
    chance = random.Random(7)
    itself = psutil.Process()
    async with blob_double() as double, workbench(tmp_path, CONFIG, double.gateway) as bench:
        await bench.run(make.assign("sha256", "warm"))
        before_mb, before_fds = itself.memory_info().rss / 2**20, itself.num_fds()
        tasks = assigns(chance, double)
        most = await submit(bench, tasks, chance)
        await bench.until(lambda: not bench.runner.attempts, within_s=240)
        ends = Counter(message.attempt for message in bench.sent if isinstance(message, TaskDone))
        codes = Counter(bench.done(assign)[0].code or "ok" for assign in tasks)
        assert all(ends[assign.attempt] >= 1 for assign in tasks)
        assert {"ok", "CANCELLED", "REJECTED", "REFUSED", "EXIT"} >= set(codes), codes
        assert codes["ok"] > COUNT / 3, codes
        assert codes["CANCELLED"] > COUNT / 20, codes
        assert most <= PROCESSES_LIMIT
        bench.runner.heard(Acked(ids=list(ends)))
        bench.sent.clear()
        assert len(bench.results) == 0
        assert not bench.runner.busy.is_set()
        assert itself.memory_info().rss / 2**20 < before_mb + MEMORY_GROWTH_MB
        await bench.until(lambda: not working(bench))
        warm = len(bench.warden.children(recursive=True))
        assert itself.num_fds() <= before_fds + 3 * warm
        assert len(list(bench.folder.iterdir())) <= warm


def working(bench: Bench) -> list[psutil.Process]:
    """What is alive beside warm workers that wait for work."""
    alive = bench.warden.children(recursive=True)
    return [each for each in alive if "agent.worker" not in each.cmdline()]
