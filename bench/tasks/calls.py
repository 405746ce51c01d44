"""Python calls that do nothing, through `rpn.Executor`: by `map`, which sends them together, and alone."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import psutil

import rpn
from tests.support.cluster import Cluster


def measure_calls(cluster: Cluster, count: int) -> None:
    """Print calls a second, and the processor time of one in all processes that are still there."""
    with rpn.Executor(cluster.urls[0]) as executor:
        list(executor.map(_by_value(), range(count // 10)))
        _show("map", count, lambda call: list(executor.map(call, range(count))))
        few = count // 4
        _show(
            "submit",
            few,
            lambda call: [each.result() for each in [executor.submit(call, n) for n in range(few)]],
        )


def _by_value() -> Callable[[int], int]:
    """Agents do not have the bench: the function travels whole."""
    return lambda given: given


def _show(how: str, count: int, run: Callable[[Callable[[int], int]], list[Any]]) -> None:
    before_s, began_s = _cpu_s(), perf_counter()
    assert run(_by_value()) == list(range(count))
    rate, cpu_us = count / (perf_counter() - began_s), 1e6 * (_cpu_s() - before_s) / count
    print(
        f"Executor.{how}, {count:,} calls: {rate:,.0f} a second; processor time of one {cpu_us:.0f} µs",
        flush=True,
    )


def _cpu_s() -> float:
    me = psutil.Process()
    times = [each.cpu_times() for each in [me, *me.children(recursive=True)] if each.is_running()]
    return float(sum(each.user + each.system for each in times))
