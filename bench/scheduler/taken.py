"""Time on the clock and on the processors, while a block runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from bench.scheduler.filled import Filled


@dataclass
class Taken:
    """What so many requests took."""

    requests: int
    wall_s: float = 0
    own_cpu_s: float = 0
    """of the process that decides"""
    store_cpu_s: float = 0

    @property
    def rate(self) -> float:
        return self.requests / self.wall_s

    @property
    def own_us(self) -> float:
        """Microseconds of processor time for one request."""
        return 1e6 * self.own_cpu_s / self.requests

    @property
    def store_us(self) -> float:
        return 1e6 * self.store_cpu_s / self.requests

    @property
    def both_us(self) -> float:
        return self.own_us + self.store_us


@contextmanager
def taking(pool: Filled) -> Iterator[Taken]:
    """Measure a block that answers all of the pool's requests."""
    taken = Taken(pool.requests)
    store = psutil.Process(pool.server_pid)
    wall_s, own_s, store_s = time.perf_counter(), time.process_time(), _cpu_s(store)
    yield taken
    taken.wall_s = time.perf_counter() - wall_s
    taken.own_cpu_s = time.process_time() - own_s
    taken.store_cpu_s = _cpu_s(store) - store_s


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
