"""Counts how long something took, in the classes that Prometheus draws its quantiles from."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""from a round trip to a disk that is fast, to one that nobody would wait for"""

WAITS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
"""from a task that runs at once, to one that nobody would wait for"""


class Durations:
    """How many were as long as each of the bounds or shorter, and how long all were together."""

    __slots__ = ("_bounds_s", "_counts", "sum_s")

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def took(self, duration_s: float) -> None:
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self.sum_s += duration_s

    def classes(self) -> list[tuple[str, float]]:
        """(upper bound, how many up to it), the last without bound."""
        bounds = [*map(str, self._bounds_s), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))
