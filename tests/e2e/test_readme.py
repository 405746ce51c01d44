"""What README's first five minutes tell to type works as it stands, against a pool on a port of its own."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, clean_environment, running
from tests.support.patience import PROGRAM_LIMIT_S

ROOT = Path(__file__).parents[2]
STAYS = ("rpn top",)
"""what one ends by Ctrl-C, and so types alone"""


def section(heading: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def to_type() -> list[str]:
    """The blocks of commands, in order."""
    return re.findall(r"```sh\n(.*?)```", section("The first five minutes"), re.DOTALL)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("readme") / "data", RPN_ALLOW_PYTHON="yes") as started:
        yield started


def surroundings(cluster: Cluster) -> dict[str, str]:
    """A shell that finds our programs first, and the pool where RPN_SERVER says."""
    environ = clean_environment({"RPN_SERVER": cluster.urls[0]})
    return environ | {"PATH": f"{Path(sys.executable).parent}:{environ['PATH']}", "TERM": "xterm"}


def test_the_commands_say_what_they_promise(cluster: Cluster) -> None:
    typed = next(block for block in to_type() if not block.startswith(STAYS))
    typed = typed.replace("http://127.0.0.1:3000", cluster.urls[0])
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed],
        cwd=ROOT,
        env=surroundings(cluster),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ["NAME", "9592", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"]
    said += ["greedy", "totalMemoryAvailable"]
    assert [word for word in said if word not in ran.stdout] == []
    assert "dry run: nothing was reserved" in ran.stderr


def test_top_draws_the_pool_until_it_is_ended(cluster: Cluster) -> None:
    (typed,) = (block for block in to_type() if block.startswith(STAYS))
    outer, inner = pty.openpty()
    with subprocess.Popen(
        ["bash", "-c", f"exec {typed}"], stdin=inner, stdout=inner, env=surroundings(cluster)
    ) as top:
        os.close(inner)
        drawn = b""
        while b"DEVICE" not in drawn:
            drawn += os.read(outer, 4096)
        top.send_signal(signal.SIGINT)
        while _more(outer):
            pass
    os.close(outer)
    assert top.returncode == 130


def _more(terminal: int) -> bytes:
    """What the program still draws; nothing once it has ended."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


@pytest.mark.parametrize(("name", "says"), [("first_task.py", "9592"), ("functions.py", "171: 124 steps")])
def test_the_programs_it_shows_are_examples_and_run(
    name: str, says: str, cluster: Cluster, tmp_path: Path
) -> None:
    program = (ROOT / "examples" / "python" / name).read_text(encoding="utf-8")
    assert program.partition('"""\n\n')[2] in section("The first five minutes")
    here = tmp_path / name
    here.write_text(program.replace("http://127.0.0.1:3000", cluster.urls[0]), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-P", here], capture_output=True, text=True, timeout=PROGRAM_LIMIT_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert says in ran.stdout
