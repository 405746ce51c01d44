"""What the agent says of this machine is what the kernel, free and df say of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.sampler import Sampler

PART = 0.02
"""of the whole: as far as two looks at a living machine may be apart"""
TICKS = 150
"""of all processors: so long their usage is measured"""


def meminfo_mb(field: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) // 1024
    raise LookupError(field)


def df_mb(path: Path) -> tuple[int, int, int]:
    """(size, used, available) of the disk that holds this path."""
    columns = ["df", "--block-size=1M", "--output=size,used,avail", str(path)]
    size, used, available = subprocess.check_output(columns, text=True).splitlines()[1].split()
    return int(size), int(used), int(available)


def processor_ticks() -> tuple[int, int]:
    """(all, idle) of all processors since the machine started."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


@pytest.fixture
def sampler(tmp_path: Path) -> Sampler:
    return Sampler(tmp_path)


def test_memory_is_the_kernels(sampler: Sampler) -> None:
    found, total = sampler.sample(), meminfo_mb("MemTotal")
    assert found.memory_total == total
    assert found.memory_available == pytest.approx(meminfo_mb("MemAvailable"), abs=PART * total)
    assert found.memory_usage + found.memory_available == found.memory_total


def test_storage_is_that_of_the_data_directorys_disk(sampler: Sampler, tmp_path: Path) -> None:
    found = sampler.sample()
    size, used, available = df_mb(tmp_path)
    assert found.storage_total == pytest.approx(size, abs=1)
    assert found.storage_usage == pytest.approx(used, abs=PART * size)
    assert found.storage_available == pytest.approx(available, abs=PART * size)


def test_cpu_is_percent_of_the_whole_machine(sampler: Sampler) -> None:
    started, idle_before = processor_ticks()
    now = started
    while now - started < TICKS:
        now, _ = processor_ticks()
    found = sampler.sample()
    now, idle = processor_ticks()
    usage = 100 * (1 - (idle - idle_before) / (now - started))
    assert found.cpu_cores == os.cpu_count()
    assert found.cpu_usage == pytest.approx(usage, abs=100 * PART)
    assert found.cpu_usage + found.cpu_available == pytest.approx(100)
