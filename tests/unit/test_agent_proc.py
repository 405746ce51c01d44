"""Processes as the kernel shows them."""

from __future__ import annotations

import os
import subprocess

import psutil
import pytest

from agent import proc


def test_a_process_is_what_psutil_says_it_is() -> None:
    found, known = proc.look(os.getpid()), psutil.Process()
    assert found is not None
    assert (found.parent, found.session, found.alive) == (known.ppid(), os.getsid(0), True)
    assert found.resident_bytes == pytest.approx(known.memory_info().rss, rel=0.2)
    assert found.cpu_s == pytest.approx(sum(known.cpu_times()[:4]), abs=5)


@pytest.mark.parametrize("name", ["(sh)", ") R 1 1", "a b) c", ""])
def test_a_name_cannot_pretend_to_be_a_column(name: str) -> None:
    columns = ["S", "7", "7", "9", *["0"] * 7, "100", "50", "0", "0", *["0"] * 6, "3", "0"]
    line = f"42 ({name}) {' '.join(columns)}".encode()
    found = proc.parse_stat(42, line)
    assert (found.parent, found.session, found.state) == (7, 9, "S")
    assert found.cpu_s == pytest.approx(150 / proc.TICKS_PER_S)
    assert found.resident_bytes == 3 * proc.PAGE_BYTES


def test_who_ended_is_not_there() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert proc.look(child.pid) is None
    assert proc.descendants(child.pid) == []


def test_grandchildren_are_descendants() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        [grandchild] = proc.children(child.pid)
        assert proc.descendants(os.getpid()).index(child.pid) < proc.descendants(os.getpid()).index(
            grandchild
        )
        os.kill(grandchild, 9)
