"""Python functions run in warm workers of their submitter's own; values and exceptions come home."""

from __future__ import annotations

import base64
import pickle
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from agent import calls
from agent.config import AgentConfig, Python
from rpn.messages import TaskAssign
from rpn.model import TaskResult
from tests.support import make
from tests.support.blob_double import BlobDouble, blob_double
from tests.support.workbench import Bench, alive, workbench

FRIENDS = AgentConfig(python=Python(allow=True, submitters=["submitter", "other"]))


@pytest.fixture
async def double() -> AsyncIterator[BlobDouble]:
    async with blob_double() as made:
        yield made


@pytest.fixture
async def bench(tmp_path: Path, double: BlobDouble) -> AsyncIterator[Bench]:
    async with workbench(tmp_path, FRIENDS, double.gateway) as made:
        yield made


def call(function: Callable[..., Any], *args: Any, **changed: Any) -> TaskAssign:
    pickled = base64.b64encode(cloudpickle.dumps((function, args, {}))).decode()
    return make.assign(task_type="python", data={"callable": pickled}, **changed)


def value_of(result: TaskResult) -> Any:
    assert result.success, result.error
    assert isinstance(result.result, dict)
    return pickle.loads(base64.b64decode(result.result["value"]))


async def test_a_value_comes_home_and_what_was_printed_is_the_log(bench: Bench) -> None:
    def twice(x: int) -> int:
        print("hello", x)
        return 2 * x

    for number in range(3):
        assign = call(twice, number)
        assert value_of(await bench.run(assign)) == 2 * number
        assert bench.logs(assign) == f"hello {number}\n"


async def test_the_next_call_finds_the_worker_warm_and_its_folder_empty(bench: Bench) -> None:
    def leave() -> tuple[int, list[str]]:
        import os

        Path("left").touch()
        return os.getpid(), os.listdir("..")

    first, second = [value_of(await bench.run(call(leave))) for _ in range(2)]
    assert first[0] == second[0]
    assert len(second[1]) == 1, "only the folder of this call"


@pytest.mark.slow
async def test_nobody_shares_a_worker_with_another_submitter(bench: Bench) -> None:
    import os

    pids = [value_of(await bench.run(call(os.getpid, submitter_id=who))) for who in ("submitter", "other")]
    assert pids[0] != pids[1]


async def test_an_exception_comes_home_with_its_traceback(bench: Bench) -> None:
    def fail() -> None:
        raise ValueError("too small")

    result = await bench.run(call(fail))
    assert (result.success, result.code) == (False, "EXIT")
    assert "in fail" in result.error
    assert result.error.endswith("ValueError: too small")
    assert isinstance(result.result, dict)
    raised = pickle.loads(base64.b64decode(result.result["exception"]))
    assert (type(raised), raised.args) == (ValueError, ("too small",))


@pytest.mark.slow
async def test_what_cannot_be_pickled_is_told_as_text(bench: Bench) -> None:
    def generator() -> Any:
        return (each for each in range(3))

    result = await bench.run(call(generator))
    assert (result.code, "generator" in result.error) == ("EXIT", True)


async def test_a_call_may_end_its_process_but_not_its_successor(bench: Bench) -> None:
    import os

    result = await bench.run(call(os._exit, 3))
    assert (result.code, "exit code 3" in result.error) == ("EXIT", True)
    assert value_of(await bench.run(call(abs, -1))) == 1


@pytest.mark.slow
async def test_what_a_call_leaves_running_ends_with_it(bench: Bench) -> None:
    def leave() -> int:
        import subprocess

        return subprocess.Popen(["sleep", "1000"]).pid

    value_of(await bench.run(call(leave)))
    assert bench.warden.children(recursive=True) == []


@pytest.mark.slow
async def test_a_thread_that_is_left_ends_with_its_worker(bench: Bench) -> None:
    def leave() -> int:
        import os
        import threading
        import time

        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        return os.getpid()

    first, second = [value_of(await bench.run(call(leave))) for _ in range(2)]
    assert first != second


async def test_a_cancel_ends_a_call_with_all_it_has_started(bench: Bench) -> None:
    def family() -> None:
        import subprocess
        import time

        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        print("ready", flush=True)
        time.sleep(1000)

    assign = call(family)
    bench.runner.heard(assign)
    await bench.until(lambda: "ready" in bench.logs(assign))
    everyone = bench.warden.children(recursive=True)
    bench.cancel(assign)
    assert (await bench.end_of(assign)).code == "CANCELLED"
    assert len(everyone) == 2
    assert not any(map(alive, everyone))


async def test_a_call_has_its_limits(bench: Bench) -> None:
    def sleep() -> None:
        import time

        time.sleep(1000)

    def grow() -> None:
        held = bytes(range(256)) * (4096 * 300)
        sleep()
        print(len(held))

    assert (await bench.run(call(sleep, timeout_s=0.1))).code == "TIMEOUT"
    assert (await bench.run(call(grow, memory=64))).code == "OOM"


async def test_a_large_call_comes_and_a_large_value_goes_as_a_blob(
    bench: Bench, double: BlobDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "VALUE_LIMIT_KIB", 1)
    blob = double.add(cloudpickle.dumps((bytes, (b"x" * 5000,), {})))
    result = await bench.run(make.assign(task_type="python", data={"callable": {"blob": blob}}))
    assert isinstance(result.result, dict)
    assert pickle.loads(double.blobs[result.result["value"]["blob"]]) == b"x" * 5000


@pytest.mark.slow
async def test_garbage_in_place_of_a_pickle_is_a_failed_task(bench: Bench) -> None:
    result = await bench.run(make.assign(task_type="python", data={"callable": "AAAA"}))
    assert (result.success, result.code) == (False, "EXIT")
