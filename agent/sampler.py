"""What this machine has and uses right now, in API.md's units."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from agent.gpu import GpuProbe
from rpn.model import Resources

MB = 2**20
CPU_WINDOW_S = 0.5
"""Over less than this CPU usage says nothing, or only what we just did ourselves."""


class Sampler:
    """`sample` tells the CPU usage since the call before, if that was not a moment ago."""

    def __init__(self, data_dir: Path, gpus: GpuProbe | None = None) -> None:
        self._disk = str(data_dir)
        self._probe = gpus or GpuProbe()
        self.gpus = self._probe.look()
        """as they were at the last sample"""
        self._cores = psutil.cpu_count(logical=True) or 1
        psutil.cpu_percent()  # the first answer is a meaningless zero
        self._cpu_usage = 0.0
        self._cpu_measured_s = time.monotonic()

    def sample(self) -> Resources:
        cpu_usage = self._measure_cpu(now_s=time.monotonic())
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(self._disk)
        gpus = self.gpus = self._probe.look()
        memory_total, memory_available = memory.total // MB, memory.available // MB
        return Resources(
            cpu_usage=cpu_usage,
            cpu_available=round(100 - cpu_usage, 1),
            cpu_cores=self._cores,
            memory_usage=memory_total - memory_available,
            memory_available=memory_available,
            memory_total=memory_total,
            storage_usage=disk.used // MB,
            storage_available=disk.free // MB,
            storage_total=disk.total // MB,
            has_gpu=gpus.count > 0,
            gpu_name=gpus.name,
            gpu_usage=gpus.usage,
        )

    def _measure_cpu(self, *, now_s: float) -> float:
        if now_s - self._cpu_measured_s >= CPU_WINDOW_S:
            self._cpu_usage = min(100.0, max(0.0, round(psutil.cpu_percent(), 1)))
            self._cpu_measured_s = now_s
        return self._cpu_usage
