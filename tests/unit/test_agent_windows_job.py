"""What Windows is told of a process's limits, and how tasks end in jobs: here in jobs of the tests' own."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from agent import pipes
from agent.config import AgentConfig, Command
from agent.job_spawner import JobSpawner
from agent.platforms.windows_job import (
    ACCOUNTING,
    EXTENDED_LIMITS,
    MB,
    Job,
    packed_cpu,
    packed_limits,
    parse_active,
    parse_peak_mb,
    parse_pids,
)
from agent.spawner import Limits
from agent.threaded_pipes import ThreadedInflow, ThreadedOutflow
from rpn.messages import TaskAssign
from tests.support import make, workbench
from tests.support.workbench import Bench


def test_limits_have_the_layout_that_windows_knows() -> None:
    packed = packed_limits(Limits(memory_mb=100, processes=7))
    assert len(packed) == 144
    assert struct.unpack_from("<I", packed, 16) == (0x8 | 0x20 | 0x200 | 0x400 | 0x2000,)
    assert struct.unpack_from("<I", packed, 40) == (7,)
    assert struct.unpack_from("<Q", packed, 120) == (100 * MB,)


def test_what_is_not_limited_is_not_set() -> None:
    assert struct.unpack_from("<I", packed_limits(Limits()), 16) == (0x20 | 0x400 | 0x2000,)


@pytest.mark.parametrize(("asked", "rate"), [(50, 1250), (400, 10_000), (900, 10_000), (0.001, 1)])
def test_a_share_of_cores_is_one_of_the_machine(asked: float, rate: int) -> None:
    assert struct.unpack("<II", packed_cpu(asked, cores=4)) == (5, rate)


def test_what_windows_answers_is_understood() -> None:
    assert parse_active(ACCOUNTING.pack(1, 2, 3, 4, 5, 6, 7, 8)) == 7
    assert parse_peak_mb(EXTENDED_LIMITS.pack(*[0] * 18, 3 * MB)) == 3
    assert parse_pids(struct.pack("<II3Q", 3, 2, 11, 12, 0)) == [11, 12]


def test_elsewhere_there_are_no_jobs() -> None:
    with pytest.raises(OSError, match="Windows"):
        Job(Limits())


class Group:
    """Stands in for a job: a process group."""

    def __init__(self) -> None:
        self.leader = 0
        self.peak_memory_mb = 0.0

    @property
    def processes(self) -> int:
        everyone = psutil.process_iter(["status"])
        return sum(os.getpgid(each.pid) == self.leader for each in everyone if workbench.alive(each))

    def hold_to(self, limits: Limits) -> None: ...

    def take(self, process: int) -> None:
        self.leader = process

    def suspend(self) -> None:
        os.killpg(self.leader, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.leader, signal.SIGCONT)

    def end(self) -> None:
        os.killpg(self.leader, signal.SIGKILL)

    def close(self) -> None: ...


class GroupSpawner(JobSpawner):
    """As on Windows, with groups for jobs."""

    creation_flags = 0

    def _job(self, limits: Limits) -> Group:
        return Group()


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    begin = subprocess.Popen
    monkeypatch.setattr(
        "agent.job_spawner.subprocess.Popen", lambda *a, **k: begin(*a, **k, start_new_session=True)
    )
    monkeypatch.setattr(pipes, "flows", lambda: (ThreadedOutflow, ThreadedInflow))
    monkeypatch.setattr(workbench, "Spawner", GroupSpawner)
    config = AgentConfig({"python": Command([sys.executable, "-S", "-c", PYTHON])})
    async with workbench.workbench(tmp_path, config) as made:
        yield made


PYTHON = "import sys, json; exec(json.load(sys.stdin))"


def python(script: str, **changed: object) -> TaskAssign:
    return make.assign("python", script, **changed)  # type: ignore[arg-type]


async def test_what_it_prints_is_its_result_and_its_log(bench: Bench) -> None:
    assign = python("print(json.dumps(list(range(30_000)))); print('told', file=sys.stderr)")
    assert (await bench.run(assign)).result == list(range(30_000))
    assert bench.logs(assign) == "told\n"


async def test_a_large_input_arrives_whole(bench: Bench) -> None:
    result = await bench.run(python(f"x = {'y' * 500_000!r}; print(len(x))"))
    assert result.result == 500_000


async def test_its_time_is_over_when_it_is(bench: Bench) -> None:
    result = await bench.run(python("while True: pass", timeout_s=0.2))
    assert (result.code, result.error) == ("TIMEOUT", "ran longer than 0.2 s")


async def test_what_it_leaves_ends_with_it_and_is_a_failure(bench: Bench) -> None:
    result = await bench.run(python("import subprocess; subprocess.Popen(['sleep', '1000'])"))
    assert (result.code, "left processes behind" in result.error) == ("EXIT", True)


async def test_a_cancel_ends_it(bench: Bench) -> None:
    assign = python("import time; time.sleep(1000)")
    bench.runner.heard(assign)
    await bench.started(assign)
    bench.cancel(assign)
    assert (await bench.end_of(assign)).code == "CANCELLED"


async def test_warm_workers_run_in_jobs_too(bench: Bench) -> None:
    for _ in range(3):
        assert (await bench.run(make.assign("primes", {"n": 100}))).result == 25


async def test_what_is_not_there_cannot_be_started(bench: Bench) -> None:
    config = AgentConfig({"missing": Command(["/nowhere"])})
    bench.runner._config = config
    assert (await bench.run(make.assign("missing"))).code == "REJECTED"
