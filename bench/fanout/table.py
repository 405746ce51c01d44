"""What was measured, as markdown."""

from __future__ import annotations

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


def table(rows: list[Row]) -> str:
    """The rows, with the ratio of each to the reference at as many connections."""
    return "\n".join([HEAD, *(_line(row, _reference(rows, row.connections)) for row in rows)])


def _reference(rows: list[Row], connections: int) -> float | None:
    """Deliveries a second."""
    for row in rows:
        if row.server == REFERENCE and row.connections == connections and row.step is not None:
            return row.step.deliveries_per_s
    return None


def _line(row: Row, reference: float | None) -> str:
    step = row.step
    if step is None:
        return f"| {row.server} | {row.connections:,} | {row.note or 'none sustained'} | | | | |"
    ratio = f"{step.deliveries_per_s / reference:.1f}" if reference else ""
    return (
        f"| {row.server} | {row.connections:,} | {step.deliveries_per_s:,.0f} | {step.p50_ms:.1f} "
        f"| {step.p99_ms:.1f} | {step.core_s_per_million:.2f} | {ratio} |"
    )
