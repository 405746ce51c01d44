"""The last quarter of an hour of a pool and of each of its devices, in steps of five seconds; pure."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from typing import Any

from rpn.model import Resources

STEP_S = 5
STEPS = 180
UNKNOWN = -1
KINDS = ("cpu", "memory", "gpu")
"""what is kept of a device: percent of it that is used, whole numbers; UNKNOWN before it reported"""
CROWD = 100
"""devices above which `overview` leaves the single ones out"""


class History:
    """Remembers `STEPS` steps; a device that left is forgotten."""

    def __init__(self) -> None:
        self._pool: deque[dict[str, float]] = deque(maxlen=STEPS)
        self._devices: dict[str, dict[str, array[int]]] = {}
        self._step = 0

    def record(self, step: int, rows: dict[str, Resources]) -> None:
        """How things stand at a step, by device; steps that were left out become unknown."""
        missed = min(step - self._step - 1, STEPS) if self._step else 0
        self._pool.append({"step": step, **usage(rows.values())})
        self._step = step
        self._devices = {device_id: self._devices.get(device_id) or _empty() for device_id in rows}
        for device_id, row in rows.items():
            for kind, value in zip(KINDS, percentages(row), strict=True):
                values = self._devices[device_id][kind]
                values.extend([UNKNOWN] * missed)
                values.append(value)
                del values[:-STEPS]

    def overview(self) -> dict[str, Any]:
        """The pool, and in a pool of few devices the CPU of each."""
        few = self._devices if len(self._devices) <= CROWD else {}
        return {
            "stepSeconds": STEP_S,
            "step": self._step,
            "pool": list(self._pool),
            "devices": {device_id: {"cpu": list(kinds["cpu"])} for device_id, kinds in few.items()},
        }

    def device(self, device_id: str) -> dict[str, Any]:
        """One device; each list ends with `step`, and is empty when nothing was recorded."""
        told = {kind: list(values) for kind, values in self._devices.get(device_id, _empty()).items()}
        return {"stepSeconds": STEP_S, "step": self._step, **told}


def _empty() -> dict[str, array[int]]:
    return {kind: array("b") for kind in KINDS}


def percentages(row: Resources) -> tuple[int, int, int]:
    """CPU, memory and GPU of a device."""
    if not row.memory_total and not row.cpu_cores:
        return UNKNOWN, UNKNOWN, UNKNOWN
    memory = 100 * row.memory_usage / row.memory_total if row.memory_total else 0
    gpu = UNKNOWN if not row.has_gpu or row.gpu_usage is None else round(min(row.gpu_usage, 100))
    return round(min(row.cpu_usage, 100)), round(min(memory, 100)), gpu


def usage(rows: Iterable[Resources]) -> dict[str, float]:
    """The pool's totals and what is used of them: core-percent, MB, MB and GPUs."""
    names = ("cpu", "memory", "storage", "gpu")
    sums = {name + part: 0.0 for name in names for part in ("Total", "Used")}
    for row in rows:
        sums["cpuTotal"] += row.cpu_cores * 100
        sums["cpuUsed"] += row.cpu_usage * row.cpu_cores
        sums["memoryTotal"] += row.memory_total
        sums["memoryUsed"] += row.memory_usage
        sums["storageTotal"] += row.storage_total
        sums["storageUsed"] += row.storage_usage
        sums["gpuTotal"] += row.has_gpu
        sums["gpuUsed"] += (row.gpu_usage or 0) / 100 if row.has_gpu else 0
    return {name: round(value, 2) for name, value in sums.items()}
