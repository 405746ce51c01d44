"""What the agent says of this machine, against what the kernel says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.sampler import Sampler

MB = 2**20


def meminfo_mb(field: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) // 1024
    raise LookupError(field)


@pytest.fixture
def sampler(tmp_path: Path) -> Sampler:
    return Sampler(tmp_path)


def test_memory_is_the_kernels(sampler: Sampler) -> None:
    found = sampler.sample()
    assert found.memory_total == meminfo_mb("MemTotal")
    assert found.memory_available == pytest.approx(meminfo_mb("MemAvailable"), rel=0.05)
    assert found.memory_usage + found.memory_available == found.memory_total


def test_storage_is_that_of_the_data_directorys_disk(sampler: Sampler, tmp_path: Path) -> None:
    found, disk = sampler.sample(), os.statvfs(tmp_path)
    assert found.storage_total == disk.f_blocks * disk.f_frsize // MB
    assert found.storage_available == pytest.approx(disk.f_bavail * disk.f_frsize / MB, rel=0.02)


def test_cpu_is_percent_of_the_whole_machine(sampler: Sampler) -> None:
    found = sampler.sample()
    assert found.cpu_cores == os.cpu_count()
    assert 0 <= found.cpu_usage <= 100
    assert found.cpu_usage + found.cpu_available == pytest.approx(100)
