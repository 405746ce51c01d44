"""Attempts run for real, in processes of the warden's, and every one of them ends in one result."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent.builtins import BUILTINS
from agent.config import AgentConfig, Command
from agent.plan import OUTPUT
from agent.spawner import Spawner, WardenLost
from rpn.messages import (
    Acked,
    TaskAssign,
    TaskStarted,
)
from rpn.model import TaskResult
from tests.support import make
from tests.support.workbench import NOBODY, Bench, alive, workbench

COMMANDS = {
    "python": [sys.executable, "-S", "-c", "import sys, json; exec(json.load(sys.stdin))"],
    "missing": ["/nowhere/to/be/found"],
}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    commands = {name: Command(argv) for name, argv in COMMANDS.items()}
    commands["one"] = Command(COMMANDS["python"], max_parallel=1)
    commands["brief"] = Command(COMMANDS["python"], timeout_s=0.2)
    async with workbench(tmp_path, AgentConfig(commands)) as made:
        yield made


def python(script: str, **changed: object) -> TaskAssign:
    return make.assign("python", script, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "given", "result"),
    [
        ("echo", {"a": [1, "ü", None]}, {"a": [1, "ü", None]}),
        ("sleep", {"seconds": 0.01}, {"slept": 0.01}),
        ("sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("primes", {"n": 100}, 25),
    ],
)
async def test_a_builtin_answers(bench: Bench, command: str, given: object, result: object) -> None:
    assert await bench.run(make.assign(command, given)) == TaskResult(success=True, result=result)


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (2, 0), (3, 1), (4, 2), (25, 9), (26, 9), (1000, 168)])
def test_the_primes_are_counted_rightly(limit: int, count: int) -> None:
    assert BUILTINS["primes"]({"n": limit}) == count


async def test_a_command_gets_its_input_and_gives_its_output(bench: Bench) -> None:
    result = await bench.run(python("print(json.dumps({'sum': 1 + 2}))"))
    assert result == TaskResult(success=True, result={"sum": 3})


async def test_an_attempt_is_started_once_and_done_once(bench: Bench) -> None:
    assign = make.assign("sleep", 0.1)
    await bench.run(assign)
    bench.runner.heard(assign)
    bench.runner.heard(Acked(ids=[assign.attempt]))
    bench.runner.heard(assign)
    await bench.run(make.assign())
    assert (
        bench.done(assign) == [TaskResult(success=True, result={"slept": 0.1})] * 2
    )  # told again while not acknowledged
    assert bench.sent.count(TaskStarted(task_id=assign.task_id, attempt=assign.attempt)) == 1


async def test_a_failure_tells_its_exit_code_and_last_words(bench: Bench) -> None:
    result = await bench.run(python("sys.stderr.write('out of paper'); sys.exit(3)"))
    assert (result.success, result.code) == (False, "EXIT")
    assert "exit code 3" in result.error
    assert "out of paper" in result.error


async def test_a_death_tells_its_signal(bench: Bench) -> None:
    result = await bench.run(python("import os; os.kill(os.getpid(), 11)"))
    assert (result.code, result.error) == ("EXIT", "ended by SIGSEGV")


async def test_bad_input_for_a_builtin_is_explained(bench: Bench) -> None:
    result = await bench.run(make.assign("sleep", {"seconds": "long"}))
    assert result.code == "EXIT"
    assert "seconds" in result.error


@pytest.mark.parametrize("changed", [{"timeout_s": 0.2}, {"command": "brief"}])
async def test_too_long_is_a_timeout(bench: Bench, changed: dict[str, object]) -> None:
    command = str(changed.pop("command", "python"))
    assign = make.assign(command, "import time; time.sleep(60)", **changed)  # type: ignore[arg-type]
    assert (await bench.run(assign)).code == "TIMEOUT"


async def test_too_much_memory_is_an_oom(bench: Bench) -> None:
    result = await bench.run(python("x = b'x' * (300 * 2**20); import time; time.sleep(60)", memory=100))
    assert (result.code, "100 MB" in result.error) == ("OOM", True)


async def test_memory_counts_over_the_whole_tree(bench: Bench) -> None:
    script = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        break
x = bytes(range(256)) * (50 * 4096)
time.sleep(60)
"""
    assert (await bench.run(python(script, memory=120))).code == "OOM"


async def test_memory_that_a_tree_shares_counts_once(bench: Bench) -> None:
    script = """
import os, time
x = bytes(range(256)) * (50 * 4096)
for _ in range(4):
    if os.fork() == 0:
        time.sleep(0.5)
        os._exit(0)
for _ in range(4):
    os.wait()
print("shared")
"""
    assert (await bench.run(python(script, memory=120))).result == "shared\n"


async def test_too_much_output_is_refused(bench: Bench) -> None:
    result = await bench.run(python("while True: sys.stdout.write('x' * 65536)"))
    assert result.code == OUTPUT


async def test_output_that_is_no_text_is_brought_home_as_well_as_it_can(bench: Bench) -> None:
    result = await bench.run(python("sys.stdout.buffer.write(b'a\\xff\\xfeb')"))
    assert result.result == "a��b"


async def test_standard_error_is_the_log(bench: Bench) -> None:
    assign = python("sys.stderr.write('half way\\n')")
    await bench.run(assign)
    assert bench.logs(assign) == "half way\n"


@pytest.mark.parametrize("changed", [{"task_type": "wasm"}, {"data": {}}, {"data": {"command": "rm"}}])
async def test_what_the_owner_did_not_register_is_rejected(bench: Bench, changed: dict[str, object]) -> None:
    assert (await bench.run(make.assign(**changed))).code == "REJECTED"  # type: ignore[arg-type]


async def test_a_registered_program_that_is_not_there_is_rejected_by_name(bench: Bench) -> None:
    result = await bench.run(make.assign("missing"))
    assert result.code == "REJECTED"
    assert "/nowhere/to/be/found" in result.error


async def test_a_cancel_reaches_grandchildren_also_those_that_hide(bench: Bench) -> None:
    script = """
import os, subprocess, time
subprocess.Popen(["sleep", "1000"])
subprocess.Popen(["sh", "-c", "sleep 1001 & wait"])
subprocess.Popen(["sleep", "1002"], start_new_session=True)
print("ready", file=sys.stderr, flush=True)
time.sleep(60)
"""
    assign = python(script)
    bench.runner.heard(assign)
    await bench.until(lambda: bench.logs(assign) == "ready\n")
    await bench.until(lambda: len(bench.warden.children(recursive=True)) >= 5)
    family = bench.warden.children(recursive=True)
    bench.cancel(assign)
    assert (await bench.end_of(assign)).code == "CANCELLED"
    assert not any(map(alive, family))


@pytest.mark.parametrize("first", ["", 'import subprocess; subprocess.Popen(["sleep", "1000"])'])
async def test_what_a_task_leaves_behind_ends_with_it_and_is_a_failure(bench: Bench, first: str) -> None:
    script = """
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "1001"])
    os._exit(0)
os.wait()
"""
    result = await bench.run(python(f"{first}\n{script}"))
    assert (result.code, "left processes behind" in result.error) == ("EXIT", True)
    assert bench.warden.children(recursive=True) == []


async def test_a_cancel_before_its_turn_is_answered_at_once(bench: Bench) -> None:
    first, second = (make.assign("one", "import time; time.sleep(60)") for _ in range(2))
    bench.runner.heard(first)
    bench.runner.heard(second)
    await bench.started(first)
    bench.cancel(second)
    assert (await bench.end_of(second)).code == "CANCELLED"
    assert not bench.done(first)


async def test_a_cancel_that_comes_before_its_attempt_holds(bench: Bench) -> None:
    assign = make.assign()
    bench.cancel(assign)
    bench.runner.heard(assign)
    assert (await bench.end_of(assign)).code == "CANCELLED"
    assert bench.runner.attempts == []


async def test_a_command_runs_no_more_at_once_than_its_owner_said(bench: Bench) -> None:
    script = "import time; began = time.monotonic(); time.sleep(0.05); print([began, time.monotonic()])"
    assigns = [make.assign("one", script) for _ in range(4)]
    for assign in assigns:
        bench.runner.heard(assign)
    spans: list[Any] = sorted([(await bench.end_of(assign)).result for assign in assigns])
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(spans))


async def test_a_task_sees_nothing_of_the_agents_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPN_SECRET", "x")
    result = await bench.run(
        python("import os; print(json.dumps([os.environ.get('TMPDIR'), sorted(os.environ)]))")
    )
    assert isinstance(result.result, list)
    folder, names = result.result
    assert set(names) <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE"}
    assert not Path(folder).exists()


async def test_a_task_cannot_gain_rights_or_dump_core(bench: Bench) -> None:
    script = "print(json.dumps(open('/proc/self/status').read() + open('/proc/self/limits').read()))"
    text = str((await bench.run(python(script))).result)
    assert "NoNewPrivs:\t1" in text
    assert "Max core file size        0 " in text


async def test_many_tasks_leave_nothing_behind(bench: Bench) -> None:
    assigns = [make.assign("echo", number) for number in range(100)]
    for assign in assigns:
        bench.runner.heard(assign)
    assert [(await bench.end_of(assign)).result for assign in assigns] == list(range(100))
    bench.runner.heard(Acked(ids=[assign.attempt for assign in assigns]))
    assert len(bench.results) == 0
    assert not bench.runner.busy.is_set()
    assert bench.warden.children() == []


async def test_the_pools_own_use_is_told_while_there_is_any(bench: Bench) -> None:
    assert bench.meter.usage is None
    assign = python("x = b'x' * (200 * 2**20)\nwhile True: pass", memory=1000)
    bench.runner.heard(assign)
    await bench.until(lambda: bench.meter.usage is not None and bench.meter.usage.memory >= 200)
    await bench.until(lambda: bench.meter.usage is not None and bench.meter.usage.cpu > 1)
    assert bench.meter.usage is not None
    assert 200 <= bench.meter.usage.memory <= 260
    bench.cancel(assign)
    await bench.end_of(assign)
    assert bench.meter.usage is None


async def test_a_lost_warden_ends_the_runner_and_its_tasks(tmp_path: Path) -> None:
    spawner = Spawner(tmp_path / "work")
    bench = Bench(tmp_path, spawner, AgentConfig(), NOBODY)
    job = asyncio.create_task(bench.runner.run())
    await asyncio.sleep(0)
    assign = make.assign("sleep", {"seconds": 60})
    bench.runner.heard(assign)
    await bench.started(assign)
    family = bench.warden.children()
    bench.warden.kill()
    with pytest.raises(ExceptionGroup) as caught:
        await job
    assert caught.group_contains(WardenLost)
    await bench.until(lambda: not any(map(alive, family)))
    await spawner.close()
    assert not bench.done(assign)
