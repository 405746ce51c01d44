"""What was measured, as markdown: of several runs, the median of each figure."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from bench.fanout.load import Step

REFERENCE = "websockets.broadcast"
HEAD = (
    "| server | connections | deliveries/s | left out % | lost | p50 ms | p99 ms | core-s per million "
    "| times the reference | by CPU |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


class Row(NamedTuple):
    """One server under the highest load it sustains, or a given one; no step: it sustained none tried."""

    server: str
    connections: int
    step: Step | None
    note: str = ""


class Figures(NamedTuple):
    """A row's numbers; ratios are to the reference in the same run, None if that was not measured."""

    deliveries_per_s: float
    left_out_percent: float
    lost: float
    p50_ms: float
    p99_ms: float
    core_s_per_million: float
    ratio: float | None
    cpu_ratio: float | None


def table(runs: list[list[Row]]) -> str:
    """The rows of runs that measured the same servers, in the order of the first."""
    return "\n".join([HEAD, *(_line(row, runs) for row in runs[0])])


def _line(row: Row, runs: list[list[Row]]) -> str:
    name = f"| {row.server} | {row.connections:,} |"
    found = [figures for run in runs for figures in _figures(run, row.server, row.connections)]
    if not found:
        return f"{name} {row.note or 'none sustained'} | | | | | | | |"
    deliveries, left_out, lost, p50, p99, core_s, *ratios = (
        _median(column) for column in zip(*found, strict=True)
    )
    ratio, by_cpu = ("" if each is None else f"{each:.1f}" for each in ratios)
    plain = f"{deliveries:,.0f} | {left_out:.1f} | {lost:,.0f} | {p50:.1f} | {p99:.1f} | {core_s:.2f}"
    return f"{name} {plain} | {ratio} | {by_cpu} |"


def _median(column: Iterable[float | None]) -> float | None:
    """Of those that were measured."""
    found = [each for each in column if each is not None]
    return median(found) if found else None


def _figures(run: list[Row], server: str, connections: int) -> list[Figures]:
    """One, or none if it sustained nothing in this run."""
    steps = {row.server: row.step for row in run if row.connections == connections and row.step is not None}
    step, reference = steps.get(server), steps.get(REFERENCE)
    if step is None:
        return []
    ratio = by_cpu = None
    if reference is not None:
        ratio = step.deliveries_per_s / reference.deliveries_per_s
        by_cpu = reference.core_s_per_million / step.core_s_per_million
    left_out_percent = 100 * (step.missing - step.lost) / (step.expected or 1)
    plain = (step.deliveries_per_s, left_out_percent, step.lost, step.p50_ms, step.p99_ms)
    return [Figures(*plain, step.core_s_per_million, ratio, by_cpu)]
