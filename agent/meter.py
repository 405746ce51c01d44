"""What the pool's tasks use of this machine."""

from __future__ import annotations

import asyncio
import time

from agent import proc
from agent.runner import Runner
from rpn.model import PoolUsage

SAMPLE_S = 1.0
CPU_WINDOW_S = 0.9
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
            await asyncio.sleep(SAMPLE_S)
            self.measure(now_s=time.monotonic())

    def measure(self, *, now_s: float) -> None:
        """Look at every running attempt's process tree."""
        memory_bytes = 0
        cpu_s: dict[str, float] = {}
        for attempt in self._runner.attempts:
            if attempt.pid is None:
                continue
            tree = _tree(attempt.pid)
            memory_bytes += sum(process.resident_bytes for process in tree)
            cpu_s[attempt.attempt] = sum(process.cpu_s for process in tree) - attempt.cpu_before_s
        self._memory_mb = memory_bytes / MB
        self._note_cpu(cpu_s, now_s)

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
