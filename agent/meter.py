"""What the pool's tasks use of this machine, and an end to those that take more memory than theirs."""

from __future__ import annotations

import asyncio
import time

from agent import proc
from agent.attempt import Attempt
from agent.plan import failed
from agent.runner import Runner
from rpn.model import Outcome, PoolUsage

GUARDED_S = 0.1
"""How often we look while a task has a memory limit."""
UNGUARDED_S = 1.0
CPU_WINDOW_S = 1.0
MB = 2**20


class Meter:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._memory_mb = 0.0
        self._cpu_percent = 0.0
        self._cpu_s: dict[str, float] = {}
        """CPU time of each attempt at the begin of the window"""
        self._window_began_s = 0.0

    @property
    def usage(self) -> PoolUsage | None:
        """The last measurement; None when nothing runs."""
        if not self._runner.busy.is_set():
            return None
        return PoolUsage(cpu=round(self._cpu_percent, 1), memory=round(self._memory_mb))

    async def run(self) -> None:
        while True:
            if not self._runner.busy.is_set():
                self._cpu_percent = self._window_began_s = 0.0
                await self._runner.busy.wait()
            guarded = any(attempt.plan.memory_limit_mb for attempt in self._runner.attempts)
            await asyncio.sleep(GUARDED_S if guarded else UNGUARDED_S)
            self.measure(now_s=time.monotonic())

    def measure(self, *, now_s: float) -> None:
        """Look at every running attempt's process tree; stop those over their limit."""
        memory_bytes = 0
        cpu_s: dict[str, float] = {}
        for attempt in self._runner.attempts:
            if attempt.pid is None:
                continue
            tree = _tree(attempt.pid)
            resident_bytes = sum(process.resident_bytes for process in tree)
            memory_bytes += resident_bytes
            cpu_s[attempt.attempt] = sum(process.cpu_s for process in tree)
            self._hold_to_limit(attempt, tree, resident_bytes)
        self._memory_mb = memory_bytes / MB
        self._note_cpu(cpu_s, now_s)

    def _hold_to_limit(self, attempt: Attempt, tree: list[proc.Process], resident_bytes: int) -> None:
        limit_mb = attempt.plan.memory_limit_mb
        if limit_mb is None or resident_bytes <= limit_mb * MB:
            return
        if len(tree) > 1 and _shared_fairly(tree) <= limit_mb * MB:
            return  # only seemingly: pages that processes share were counted for each
        attempt.stop(failed(Outcome.OOM, f"used more than its {limit_mb:g} MB of memory"))

    def _note_cpu(self, cpu_s: dict[str, float], now_s: float) -> None:
        window_s = now_s - self._window_began_s
        if window_s < CPU_WINDOW_S:
            return
        if self._window_began_s:
            used_s = sum(max(0.0, spent - self._cpu_s.get(key, 0.0)) for key, spent in cpu_s.items())
            self._cpu_percent = 100 * used_s / window_s
        self._cpu_s, self._window_began_s = cpu_s, now_s


def _tree(leader: int) -> list[proc.Process]:
    found = map(proc.look, [leader, *proc.descendants(leader)])
    return [process for process in found if process is not None]


def _shared_fairly(tree: list[proc.Process]) -> int:
    """The memory of a tree with shared pages counted once."""
    return sum(_fair_bytes(process.pid) for process in tree)


def _fair_bytes(pid: int) -> int:
    proportional = proc.proportional_bytes(pid)
    if proportional is not None:
        return proportional
    process = proc.look(pid)  # it may have ended just now
    return process.resident_bytes if process is not None and process.alive else 0
