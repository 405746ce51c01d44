"""The last quarter of an hour of a pool and of each of its devices, in steps of five seconds; pure."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable

from gateway.bodies import CpuHistory, DeviceHistory, Moment, PoolHistory
from rpn.model import Resources

STEP_S = 5
STEPS = 180
UNKNOWN = -1
KINDS = ("cpu", "memory", "gpu")
"""what is kept of a device: percent of it that is used, whole numbers; UNKNOWN before it reported"""
_SUMMED = [name for name in Moment.__struct_fields__ if name != "step"]
CROWD = 100
"""devices above which `overview` leaves the single ones out"""


class History:
    """Remembers `STEPS` steps; a device that left is forgotten."""

    def __init__(self) -> None:
        self._pool: deque[Moment] = deque(maxlen=STEPS)
        self._devices: dict[str, dict[str, array[int]]] = {}
        self._step = 0

    def record(self, step: int, rows: dict[str, Resources]) -> None:
        """How things stand at a step, by device; steps that were left out become unknown."""
        missed = min(step - self._step - 1, STEPS) if self._step else 0
        self._pool.append(moment(step, rows.values()))
        self._step = step
        self._devices = {device_id: self._devices.get(device_id) or _empty() for device_id in rows}
        for device_id, row in rows.items():
            for kind, value in zip(KINDS, percentages(row), strict=True):
                values = self._devices[device_id][kind]
                values.extend([UNKNOWN] * missed)
                values.append(value)
                del values[:-STEPS]

    def overview(self) -> PoolHistory:
        """The pool, and in a pool of few devices the CPU of each."""
        few = self._devices if len(self._devices) <= CROWD else {}
        return PoolHistory(
            step_seconds=STEP_S,
            step=self._step,
            pool=list(self._pool),
            devices={device_id: CpuHistory(cpu=list(kinds["cpu"])) for device_id, kinds in few.items()},
        )

    def device(self, device_id: str) -> DeviceHistory:
        """One device; each list ends with `step`, and is empty when nothing was recorded."""
        told = {kind: list(values) for kind, values in self._devices.get(device_id, _empty()).items()}
        return DeviceHistory(step_seconds=STEP_S, step=self._step, **told)


def _empty() -> dict[str, array[int]]:
    return {kind: array("b") for kind in KINDS}


def percentages(row: Resources) -> tuple[int, int, int]:
    """CPU, memory and GPU of a device."""
    if not row.memory_total and not row.cpu_cores:
        return UNKNOWN, UNKNOWN, UNKNOWN
    memory = 100 * row.memory_usage / row.memory_total if row.memory_total else 0
    gpu = UNKNOWN if not row.has_gpu or row.gpu_usage is None else round(min(row.gpu_usage, 100))
    return round(min(row.cpu_usage, 100)), round(min(memory, 100)), gpu


def moment(step: int, rows: Iterable[Resources]) -> Moment:
    """The pool's totals and what is used of them."""
    sums = dict.fromkeys(_SUMMED, 0.0)
    for row in rows:
        sums["cpu_total"] += row.cpu_cores * 100
        sums["cpu_used"] += row.cpu_usage * row.cpu_cores
        sums["memory_total"] += row.memory_total
        sums["memory_used"] += row.memory_usage
        sums["storage_total"] += row.storage_total
        sums["storage_used"] += row.storage_usage
        sums["gpu_total"] += row.has_gpu
        sums["gpu_used"] += (row.gpu_usage or 0) / 100 if row.has_gpu else 0
    return Moment(step=step, **{name: round(value, 2) for name, value in sums.items()})
