"""What was measured, as markdown: of several runs, the median of each figure."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from bench.fanout.load import Step

REFERENCE = "websockets.broadcast"
HEAD = (
    "| server | connections | deliveries/s | p50 ms | p99 ms | core-s per million | times the reference |\n"
    "|---|--:|--:|--:|--:|--:|--:|"
)


class Row(NamedTuple):
    """One server under the highest load it sustains; no step: it sustained none that was tried."""

    server: str
    connections: int
    step: Step | None
    note: str = ""


class Figures(NamedTuple):
    """A row's numbers; the ratio is that to the reference in the same run, None if it was not measured."""

    deliveries_per_s: float
    p50_ms: float
    p99_ms: float
    core_s_per_million: float
    ratio: float | None


def table(runs: list[list[Row]]) -> str:
    """The rows of runs that measured the same servers, in the order of the first."""
    return "\n".join([HEAD, *(_line(row, runs) for row in runs[0])])


def _line(row: Row, runs: list[list[Row]]) -> str:
    name = f"| {row.server} | {row.connections:,} |"
    found = [figures for run in runs for figures in _figures(run, row.server, row.connections)]
    if not found:
        return f"{name} {row.note or 'none sustained'} | | | | |"
    deliveries, p50, p99, core_s = (median(column) for column in list(zip(*found, strict=True))[:4])
    ratios = [each.ratio for each in found if each.ratio is not None]
    ratio = f"{median(ratios):.1f}" if ratios else ""
    return f"{name} {deliveries:,.0f} | {p50:.1f} | {p99:.1f} | {core_s:.2f} | {ratio} |"


def _figures(run: list[Row], server: str, connections: int) -> list[Figures]:
    """One, or none if it sustained nothing in this run."""
    steps = {row.server: row.step for row in run if row.connections == connections and row.step is not None}
    step, reference = steps.get(server), steps.get(REFERENCE)
    if step is None:
        return []
    ratio = step.deliveries_per_s / reference.deliveries_per_s if reference is not None else None
    return [Figures(step.deliveries_per_s, step.p50_ms, step.p99_ms, step.core_s_per_million, ratio)]
