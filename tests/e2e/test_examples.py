"""The programs in examples/ run as they stand, and the README shows one of them as it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples" / "python").glob("*.py"))
SAYS = {"first_task.py": "9592"}
"""what an example prints, among other things"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("examples") / "data") as started:
        yield started


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_an_example_runs(program: Path, cluster: Cluster, tmp_path: Path) -> None:
    here = tmp_path / program.name
    address = cluster.urls[0].removeprefix("http://")
    here.write_text(program.read_text(encoding="utf-8").replace("127.0.0.1:3000", address), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-P", here], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert SAYS[program.name] in ran.stdout


def test_the_readme_shows_the_first_example_as_it_is() -> None:
    body = (
        (ROOT / "examples" / "python" / "first_task.py").read_text(encoding="utf-8").partition('"""\n\n')[2]
    )
    assert body in (ROOT / "README.md").read_text(encoding="utf-8")
