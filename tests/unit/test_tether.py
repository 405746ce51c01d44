"""The promises of rpn.tether: a process ends with its parent, and holds its lock to the end."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rpn import tether
from tests.support.processes import gone, until

PARENT = """
import subprocess, sys, time
from rpn import tether
if sys.argv[2] == "watched":
    code = f"import sys; sys.path.insert(0, {sys.argv[3]!r}); from rpn import tether; " \\
        "tether._die_with_parent = lambda: False; tether.main(int(sys.argv[1]), '', sys.argv[2:])"
    import os
    command = [sys.executable, "-I", "-S", "-c", code, str(os.getpid()), "sleep", "60"]
else:
    command = tether.tethered(["sleep", "60"], lock=sys.argv[1])
print(subprocess.Popen(command).pid, flush=True)
time.sleep(60)
"""
SOURCE = str(Path(tether.__file__).parents[1])


def comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("way", ["tied", "watched"])
def test_a_process_ends_when_its_parent_is_killed(tmp_path: Path, way: str) -> None:
    arguments = [sys.executable, "-P", "-c", PARENT, str(tmp_path / "lock"), way, SOURCE]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(lambda: comm(child) == "sleep")
        parent.kill()
        parent.wait()
        until(lambda: gone(child))


def test_the_lock_is_held_until_the_process_is_gone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen(tether.tethered(["sleep", "60"], lock=str(lock))) as child:
        until(lambda: lock.exists() and not can_lock(lock))
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert can_lock(lock)


def test_a_lock_that_is_taken_is_said_to_be_so(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        command = tether.tethered(["true"], lock=str(tmp_path / "lock"))
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr[:11]) == (1, "cannot lock")


def test_a_command_that_is_not_there_is_said_to_be_so() -> None:
    done = subprocess.run(tether.tethered(["/no/such"]), capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr) == (1, "cannot run /no/such: No such file or directory\n")


def test_a_child_whose_parent_is_already_gone_does_not_begin() -> None:
    command = tether.tethered(["true"])
    command[4] = "1" if os.getpid() != 1 else "2"
    assert subprocess.run(command, capture_output=True, timeout=10).returncode == 1


def can_lock(path: Path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
