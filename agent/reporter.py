"""Tells the pool what this machine has: at once when it changes, else now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rpn.messages import ResourceUpdate
from rpn.model import PoolUsage, Resources

FIRST_S = 0.6
"""before the first measurement, which needs a while to measure over"""
SAMPLE_S = 2.0
LONGEST_SILENCE_S = 10.0
CPU_CHANGE_PERCENT = 5.0
GPU_CHANGE_PERCENT = 5.0
SIZE_CHANGE_SHARE = 0.01
"""of the total: a change of memory or storage that is worth a message"""


class Reporter:
    """Samples and sends until cancelled; `online` makes the next report due at once."""

    def __init__(
        self,
        device_id: str,
        sample: Callable[[], Resources],
        usage: Callable[[], PoolUsage | None],
        send: Callable[[ResourceUpdate], bool],
    ) -> None:
        self._device_id = device_id
        self._sample = sample
        self._usage = usage
        self._send = send
        self._told: ResourceUpdate | None = None
        self._told_s = 0.0
        self._nudge = asyncio.Event()

    def online(self) -> None:
        """A gateway has us anew and may know nothing of us."""
        self._told = None
        self._nudge.set()

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(FIRST_S)
        while True:
            self._nudge.clear()
            self._report(now_s=clock())
            try:
                await asyncio.wait_for(self._nudge.wait(), SAMPLE_S)
            except TimeoutError:
                continue

    def _report(self, *, now_s: float) -> None:
        update = ResourceUpdate(device_id=self._device_id, resources=self._sample(), pool_usage=self._usage())
        due = self._told is None or now_s - self._told_s >= LONGEST_SILENCE_S
        if (due or is_worth_telling(self._told, update)) and self._send(update):
            self._told, self._told_s = update, now_s


def is_worth_telling(told: ResourceUpdate | None, update: ResourceUpdate) -> bool:
    """Whether `update` differs from what was told by more than the usual noise."""
    if told is None:
        return True
    before, after = told.resources, update.resources
    return (
        abs(after.cpu_usage - before.cpu_usage) >= CPU_CHANGE_PERCENT
        or _size_changed(before.memory_available, after.memory_available, after.memory_total)
        or _size_changed(before.storage_available, after.storage_available, after.storage_total)
        or _hardware(before) != _hardware(after)
        or _gpu_changed(before.gpu_usage, after.gpu_usage)
        or _pool_usage_changed(told.pool_usage, update.pool_usage, after)
    )


def _hardware(resources: Resources) -> tuple[object, ...]:
    """What changes only when the machine does."""
    return (
        resources.cpu_cores,
        resources.memory_total,
        resources.storage_total,
        resources.has_gpu,
        resources.gpu_name,
    )


def _size_changed(before: float, after: float, total: float) -> bool:
    return abs(after - before) >= max(1, total * SIZE_CHANGE_SHARE)


def _gpu_changed(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= GPU_CHANGE_PERCENT


def _pool_usage_changed(before: PoolUsage | None, after: PoolUsage | None, machine: Resources) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after.cpu - before.cpu) >= CPU_CHANGE_PERCENT * machine.cpu_cores or _size_changed(
        before.memory, after.memory, machine.memory_total
    )
