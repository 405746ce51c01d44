"""Every program in examples/ runs as it stands; what this machine lacks for one is told by its skip."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from rpn.client.listing import DeviceList
from tests.support.cluster import Cluster, running
from tests.support.examples import EXAMPLES, placed, said_by, surroundings
from tests.support.npm import fetched
from tests.support.patience import PROGRAM_LIMIT_S

PYTHON = Path("/usr/bin/python3")
FRAMES = 8

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A pool whose one machine runs Python functions and renders."""
    folder = tmp_path_factory.mktemp("examples")
    farm = (EXAMPLES / "render_farm" / "agent.toml").read_text(encoding="utf-8")
    farm = farm.replace("/srv/farm", str(EXAMPLES / "render_farm"))
    farm = farm.replace('hours = ["mon-fri 18:00-08:00", "sat,sun"]', "hours = []")
    config = folder / "agent.toml"
    config.write_text(farm, encoding="utf-8")
    with running(folder / "data", RPN_ALLOW_PYTHON="yes", RPN_AGENT_CONFIG=config) as started:
        yield started


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("python/plain_client.py", "9592"),
        ("python/asyncio_tasks.py", "stopped: CANCELLED"),
    ],
)
def test_a_python_program_runs(name: str, says: str, cluster: Cluster, tmp_path: Path) -> None:
    assert says in said_by([sys.executable, "-P", placed(name, cluster, tmp_path)], tmp_path)


def test_scikit_learn_searches_a_grid(cluster: Cluster, tmp_path: Path) -> None:
    for package in ("joblib", "sklearn"):
        pytest.importorskip(package)
    program = placed("python/grid_search.py", cluster, tmp_path)
    assert "best: {'C': " in said_by([sys.executable, "-P", program], tmp_path)


@pytest.mark.skipif(not PYTHON.exists(), reason=f"no {PYTHON}, which the farm renders with")
def test_the_render_farm_draws_every_frame(cluster: Cluster, tmp_path: Path) -> None:
    program = placed("render_farm/farm.py", cluster, tmp_path)
    assert f"frame {FRAMES} of {FRAMES}" in said_by([sys.executable, "-P", program], tmp_path)
    frames = [(tmp_path / "frames" / f"{number:03}.pgm").read_text() for number in range(FRAMES)]
    assert all(frame.startswith("P2 96 54 255\n") for frame in frames)
    assert len(set(frames)) > FRAMES // 2


@pytest.mark.skipif(not PYTHON.exists(), reason=f"no {PYTHON}, which the farm renders with")
def test_one_frame_is_drawn_from_the_shell(cluster: Cluster, tmp_path: Path) -> None:
    typed = [sys.executable, "-P", "-m", "rpn.cli", "run", "--server", cluster.urls[0], "--"]
    said = said_by([*typed, "render", '{"frame": 1, "frames": 8}'], tmp_path)
    assert said.startswith("P2 96 54 255\n")


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_the_shell_uses_the_pool_by_curl(cluster: Cluster, tmp_path: Path) -> None:
    said = said_by(["bash", EXAMPLES / "bash" / "pool.sh", cluster.urls[0]], tmp_path)
    answers = [json.loads(line) for line in said.splitlines()]
    assert answers[2]["result"] == {"success": True, "result": 9592}
    assert answers[3]["allocation"]["fulfilled"]


def test_the_shell_watches_the_pool(cluster: Cluster, tmp_path: Path) -> None:
    environ = _with_websockets(tmp_path)
    command = ["bash", str(EXAMPLES / "bash" / "watch.sh"), cluster.urls[0].replace("http", "ws") + "/ws"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=surroundings(environ), stdout=subprocess.PIPE
    ) as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        watching.kill()
    said = first[0] if isinstance(first, list) else first
    assert said["type"] == "devices"


def _with_websockets(folder: Path) -> dict[str, str]:
    """An environment in which the shell has websocat, or node the package `ws`; skips without."""
    return {} if shutil.which("websocat") else {"NODE_PATH": str(fetched("ws@8", folder))}


async def test_the_notebook_runs_from_above(cluster: Cluster, tmp_path: Path) -> None:
    """Its cells, in one running loop as Jupyter's; the value of each last line is what it shows."""
    notebook = json.loads(placed("notebook/first_steps.ipynb", cluster, tmp_path).read_text())
    names: dict[str, Any] = {"__name__": "__main__"}
    shown: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            shown[cell["id"]] = await asyncio.wait_for(_run("".join(cell["source"]), names), PROGRAM_LIMIT_S)
    assert isinstance(shown["connect"], DeviceList)
    assert "<table>" in shown["connect"]._repr_html_()
    assert shown["submit"][1_000_000] == 78498
    assert 3 < shown["function"] < 3.3
    assert "hits" in shown["log"]
    assert shown["allocate"][0].allocated_memory == 256


async def _run(source: str, names: dict[str, Any]) -> Any:
    """Run a cell, `await` at its top included; the value of its last line."""
    tree = ast.parse(source)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body.pop()
    await _evaluated(compile(tree, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if not isinstance(last, ast.Expr):
        return None
    line = compile(ast.Expression(last.value), "cell", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return await _evaluated(line, names)


async def _evaluated(code: CodeType, names: dict[str, Any]) -> Any:
    value = eval(code, names)
    return await value if asyncio.iscoroutine(value) else value


def test_the_list_of_examples_names_every_one() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    kept = subprocess.run(
        ["git", "ls-files", "."], cwd=EXAMPLES, capture_output=True, text=True, check=False
    ).stdout.splitlines() or [
        os.path.relpath(path, EXAMPLES) for path in EXAMPLES.rglob("*") if path.is_file()
    ]
    assert [name for name in kept if name != "README.md" and f"({name})" not in listed] == []
