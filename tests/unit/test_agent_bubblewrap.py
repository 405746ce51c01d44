"""Programs in Bubblewrap's jail, where there is one on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent import bubblewrap
from agent.jail import DEVICES, SYSTEM

works = pytest.mark.skipif(not bubblewrap.found(), reason="no bwrap that works on this machine")


def run(script: str, folder: Path, *, reads: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = bubblewrap.wrapped(
        ["sh", "-c", script],
        bwrap=bubblewrap.found(),
        folder=str(folder),
        reads=[*SYSTEM, *reads],
        writes=[str(folder), *DEVICES],
        network=False,
    )
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


@works
def test_its_own_folder_is_all_that_a_program_can_change(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    assert run("echo mine > a && cat a && echo > /dev/null", own).stdout == "mine\n"
    for place in (f"{other}/a", "/etc/rpn-escape", "/usr/rpn-escape"):
        assert run(f"echo x > {place}", own).returncode != 0
    assert list(other.iterdir()) == []


@works
def test_what_was_not_granted_is_not_there(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.write_text("secret")
    assert run(f"cat {other}", own).stdout == ""
    assert run(f"cat {other}", own, reads=(str(other),)).stdout == "secret"
    assert run("cat /proc/net/dev | grep -c eth", own).stdout == "0\n"


@works
def test_a_programs_status_is_its_own(tmp_path: Path) -> None:
    assert run("exit 7", tmp_path).returncode == 7


def test_a_task_with_network_keeps_the_machines() -> None:
    options = {"bwrap": "bwrap", "folder": "/f", "reads": ["/usr"], "writes": ["/f", "/dev/null"]}
    without = bubblewrap.wrapped(["x"], **options, network=False)  # type: ignore[arg-type]
    assert "--unshare-all" in without
    assert "--share-net" not in without
    assert "--share-net" in bubblewrap.wrapped(["x"], **options, network=True)  # type: ignore[arg-type]
