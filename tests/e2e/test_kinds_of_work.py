"""Work of every kind in a running pool of two agents: modules, Python functions, files, live progress."""

from __future__ import annotations

import asyncio
import hashlib
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpn.client.blobs import Gateway, send
from rpn.client.options import Options
from rpn.client.pool import AsyncPool
from rpn.client.refusals import TaskFailed
from tests.support.cluster import Cluster, call, clean_environment, device_ids, running, wait_for
from tests.support.patience import PROGRAM_LIMIT_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OURS = "the-submitter"
CONFIG = f"""
[commands.steps]
argv = ["sh", "-c", "echo half way >&2; echo RPN_PROGRESS 0.5 >&2; echo $((1 + 1))"]

[commands.save]
argv = ["sh", "-c", "rev text > reversed"]

[python]
allow = true
submitters = ["{OURS}"]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A pool with two agents that allow the same."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "agent.toml").write_text(CONFIG, encoding="utf-8")
    settings: dict[str, Any] = {"RPN_AGENT_CONFIG": folder / "agent.toml"}
    with running(folder / "data", **settings) as started:
        told = {**settings, "RPN_SERVER": started.urls[0], "RPN_DATA_DIR": folder / "second"}
        second = subprocess.Popen([sys.executable, "-P", "-m", "agent"], env=clean_environment(told))
        try:
            wait_for(lambda: len(device_ids(started.urls[0])) == 2, within_s=20, what="two agents")
            wait_for(lambda: all_reported(started.urls[0]), within_s=20, what="their reports")
            yield started
        finally:
            second.terminate()
            second.wait(20)


def all_reported(url: str) -> bool:
    devices = call(f"{url}/api/devices").json()["devices"]
    return all(device["resources"]["memoryTotal"] for device in devices)


@pytest.fixture
async def pool(cluster: Cluster) -> AsyncIterator[AsyncPool]:
    async with AsyncPool(cluster.urls[0], device_id=OURS) as opened:
        yield opened


def gateway_of(cluster: Cluster) -> Gateway:
    return Gateway(cluster.urls[0].replace("http", "ws") + "/ws")


def test_a_module_from_a_c_compiler_runs_the_same_on_two_agents(cluster: Cluster, tmp_path: Path) -> None:
    example = ROOT / "examples" / "wasm"
    program = (example / "run.py").read_text(encoding="utf-8")
    (tmp_path / "mandelbrot.wasm").write_bytes((example / "mandelbrot.wasm").read_bytes())
    address = cluster.urls[0].removeprefix("http://")
    (tmp_path / "run.py").write_text(program.replace("127.0.0.1:3000", address), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-P", tmp_path / "run.py"],
        capture_output=True,
        text=True,
        timeout=PROGRAM_LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "2 devices, 1 picture" in ran.stdout
    assert len(ran.stdout.splitlines()) == 26


async def test_a_python_function_runs_and_raises_as_if_it_were_here(pool: AsyncPool) -> None:
    def divide(a: int, b: int) -> float:
        return a / b

    assert await pool.submit(divide, 3, 4) == 0.75
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        await pool.submit(divide, 1, 0)


async def test_a_large_value_comes_home_whole(pool: AsyncPool) -> None:
    value = await pool.submit(bytes, 1_000_000)
    assert value == bytes(1_000_000)


async def test_nobody_else_has_their_functions_run(cluster: Cluster) -> None:
    async with AsyncPool(cluster.urls[0], device_id="a-stranger") as stranger:
        with pytest.raises(TaskFailed) as caught:
            await stranger.submit(abs, -1)
    assert caught.value.code == "REJECTED"


async def test_files_go_in_and_come_out(cluster: Cluster, pool: AsyncPool) -> None:
    sent = await send(gateway_of(cluster), io.BytesIO(b"abc"))
    data = {"command": "save", "files": {"text": {"blob": sent.blob}}, "outputs": ["reversed"]}
    result = await pool.submit_data(Options(), data)
    expected = hashlib.sha256(b"cba").hexdigest()
    assert result["files"] == {"reversed": {"blob": expected, "size": 3}}
    got = await asyncio.to_thread(call, f"{cluster.urls[0]}/api/blobs/{expected}")
    assert got.body == b"cba"


async def test_progress_and_log_come_as_they_are_made(pool: AsyncPool) -> None:
    submission = pool.submit("steps")
    pieces = [piece async for piece in submission.follow()]
    assert await submission == 2
    assert "".join(pieces) == "half way\n"
    assert submission.progress == 0.5
