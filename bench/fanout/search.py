"""Finds the highest rate that a server sustains, in few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from bench.fanout.load import Step

P99_LIMIT_MS = 250

T = TypeVar("T")


class Bounds(NamedTuple):
    """How long to look, and how closely."""

    growth: float = 1.6
    """from a rate that holds to the next"""
    precision: float = 1.1
    """of the rate found: the next one that was tried and does not hold is at most so much higher"""
    steps: int = 12


def sustained(step: Step) -> bool:
    """Everything came, whole and in order, and soon enough."""
    return step.whole and step.p99_ms <= P99_LIMIT_MS


def highest(
    first: float, attempt: Callable[[float], T], holds: Callable[[T], bool], bounds: Bounds
) -> T | None:
    """What `attempt` answered at the highest rate that holds; None if none did.

    From `first` up while it holds, or down until it does; then between the two, by their geometric mean.
    """
    best: T | None = None
    low, high, rate = 0.0, float("inf"), first
    for _ in range(bounds.steps):
        answer = attempt(rate)
        if holds(answer):
            best, low = answer, rate
        else:
            high = rate
        if low and high <= low * bounds.precision:
            break
        rate = _between(low, high, bounds.growth)
    return best


def _between(low: float, high: float, growth: float) -> float:
    if not low:
        return high / growth
    if high == float("inf"):
        return low * growth
    return float((low * high) ** 0.5)
