"""What is measured besides the highest load: a sentence a scenario, its numbers medians of the runs."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from bench.fanout import scenarios
from bench.fanout.scenarios import Sizes


class Report(NamedTuple):
    """A sentence with places for numbers, and what one run puts there."""

    sentence: str
    numbers: tuple[float, ...]


def report(name: str, sizes: Sizes, runs: int) -> str:
    """Measure a scenario so many times, and say what came out."""
    found = [SCENARIOS[name](sizes) for _ in range(runs)]
    columns = zip(*(each.numbers for each in found), strict=True)
    return found[0].sentence.format(*(median(column) for column in columns))


def _light(sizes: Sizes) -> Report:
    return _at_cadence(100, sizes)


def _cadence(sizes: Sizes) -> Report:
    return _at_cadence(sizes.cadence, sizes)


def _at_cadence(devices: int, sizes: Sizes) -> Report:
    step = scenarios.light(devices, 2 * sizes.seconds)
    return Report(
        f"{devices:,} devices, one update each in 2 s: p50 {{:.1f}} ms, p99 {{:.1f}} ms, {{:.0f}} of "
        "{:,.0f} missing, {:.0f} of them lost, {:.0f} % of a core; the load generator itself was up to "
        "{:.0f} ms late",
        (
            *(step.p50_ms, step.p99_ms, step.missing, step.expected, step.lost),
            *(100 * step.cpu_s / step.seconds, step.late_ms),
        ),
    )


def _idle(sizes: Sizes) -> Report:
    found = scenarios.idle(sizes.idle, 10)
    return Report(
        f"{found.connections:,} idle connections (`receives: none`, a heartbeat each 5 s): "
        "{:.1f} KiB a connection, {:.1f} % of a core",
        (found.kib_each, found.core_percent),
    )


def _herd(sizes: Sizes) -> Report:
    found = scenarios.herd(sizes.herd)
    return Report(
        f"{found.connections:,} cut at once: {{:,.0f}} back with their list in {{:.2f}} s, "
        "HTTP answered within {:.0f} ms",
        (found.back, found.seconds, found.http_ms),
    )


def _stopped(sizes: Sizes) -> Report:
    found = scenarios.one_stopped(200, 2 * sizes.seconds)
    return Report(
        f"one stopped reader among 200 ({scenarios.BUSY_PER_S} updates a second each): the others' p99 "
        "{:.1f} ms before, {:.1f} ms with it, {:.0f} lost; the gateway grew by {:,.0f} KiB and gave it "
        "up after {:.1f} s",
        (
            *(found.before.p99_ms, found.after.p99_ms, found.after.lost),
            *(found.grown_kib, found.closed_s),
        ),
    )


SCENARIOS: dict[str, Callable[[Sizes], Report]] = {
    "light": _light,
    "cadence": _cadence,
    "idle": _idle,
    "herd": _herd,
    "stopped": _stopped,
}
