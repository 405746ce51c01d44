"""Which of the machine's cores a task runs on: as many as its CPU asks for, the least busy first."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import ceil


class Cores:
    """Deals out the cores `everyone` by number; where the platform pins nothing, there are none."""

    def __init__(self, everyone: Iterable[int] | None = None) -> None:
        self._tasks = dict.fromkeys(_own() if everyone is None else everyone, 0)

    def take(self, cpu: float | None, share: float | None) -> list[int]:
        """Cores for a task that may use `cpu` core-percent; `share` is what all tasks together may use.

        None is no limit. No cores mean that the task may run on all.
        """
        allowed = list(self._tasks)[: _count(share, len(self._tasks))]
        count = _count(cpu, len(allowed))
        if count >= len(self._tasks):
            return []
        taken = sorted(allowed, key=lambda core: (self._tasks[core], core))[:count]
        for core in taken:
            self._tasks[core] += 1
        return taken

    def give_back(self, taken: Iterable[int]) -> None:
        for core in taken:
            self._tasks[core] -= 1


def _count(core_percent: float | None, most: int) -> int:
    return most if core_percent is None else min(most, max(1, ceil(core_percent / 100)))


def _own() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
