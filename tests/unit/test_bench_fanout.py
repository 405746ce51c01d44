"""Promises of bench.fanout's pure parts: what the load generator says, the search, the table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.fanout.load import Connected, Process, Step, Storm, parse
from bench.fanout.search import Bounds, highest, sustained
from bench.fanout.table import REFERENCE, Row, table

BOUNDS = Bounds(growth=2, precision=1.1, steps=12)
STEP_LINE = (
    b'{"did":"step","readers":200,"rate":10.0000,"seconds":2.00,"sent":4000,"expected":800000,"received":799998'
    b',"arrivals":500000,"reads":6911,"disordered":0,"repeated":0,"malformed":0,"refused":0,"lost":0,'
    b'"p50_ms":7.479,"p99_ms":65.290,"max_ms":99.253,"late_ms":6.552,"own_cpu_s":0.30,"processes":'
    b'[{"pid":7,"cpu_s":0.60,"rss_before_kib":50512,"rss_kib":50768},'
    b'{"pid":8,"cpu_s":0.15,"rss_before_kib":8476,"rss_kib":8284}]}\n'
)


def step(**changes: Any) -> Step:
    whole = {"expected": 1000, "received": 1000, "arrivals": 1000, "p99_ms": 10.0}
    found = parse(STEP_LINE)
    assert isinstance(found, Step)
    return msgspec.structs.replace(found, **{**whole, **changes})


# --- what the load generator says -------------------------------------------------------------


def test_a_step_says_what_is_missing_and_what_it_cost() -> None:
    found = parse(STEP_LINE)
    assert isinstance(found, Step)
    assert found.missing == 2
    assert found.deliveries_per_s == 250_000
    assert found.core_s_per_million == pytest.approx(1.5)


def test_what_a_gateway_says_it_left_out_is_missing_but_not_lost() -> None:
    assert step(received=990).lost == 10
    assert step(received=990, skipped=6, folded=1).lost == 3
    assert step(received=990, skipped=60).lost == 0  # some of those were due outside of the measured time
    assert not sustained(step(received=990, skipped=10))
    assert table([[Row("ours", 200, step(seconds=1.0, received=990, skipped=6))]]).splitlines()[2].split(
        " | "
    )[3:5] == ["0.6", "4"]


def test_the_answers_are_told_apart() -> None:
    rest = b'"connections":3,"lost":1,"seconds":0.5,"processes":[]}'
    assert parse(b'{"did":"connect","listed":2,' + rest) == Connected(3, 2, 1, 0.5, [])
    assert parse(b'{"did":"storm","back":2,' + rest) == Storm(3, 2, 1, 0.5, [])


@pytest.mark.parametrize("line", [b"", b"{}", b'{"did":"dance"}', STEP_LINE[:-9]])
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        parse(line)


def test_a_step_in_which_nothing_arrived_costs_infinitely_much() -> None:
    assert step(arrivals=0).core_s_per_million == float("inf")


# --- the search -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [{"received": 999}, {"disordered": 1}, {"repeated": 1}, {"malformed": 1}, {"cut": 1}, {"p99_ms": 251}],
)
def test_a_rate_is_sustained_only_if_everything_came_in_order_and_in_time(broken: dict[str, int]) -> None:
    assert sustained(step())
    assert not sustained(step(**broken))


def test_nothing_sent_is_nothing_sustained() -> None:
    assert not sustained(step(expected=0, received=0))


@pytest.mark.parametrize("limit", [3.0, 10.0, 11.0, 95.0, 640.0])
def test_the_rate_found_holds_and_is_close_to_the_highest(limit: float) -> None:
    found = highest(10.0, float, lambda rate: rate <= limit, BOUNDS)
    assert found is not None
    assert limit / BOUNDS.precision <= found <= limit


def test_a_server_that_sustains_nothing_is_asked_a_limited_number_of_times() -> None:
    tried: list[float] = []
    assert highest(10.0, tried.append, lambda _: False, BOUNDS) is None
    assert len(tried) == BOUNDS.steps
    assert tried == sorted(tried, reverse=True)


def test_the_step_kept_is_the_one_at_the_highest_rate_not_the_last() -> None:
    tried: list[float] = []

    def attempt(rate: float) -> float:
        tried.append(rate)
        return rate

    assert highest(10.0, attempt, lambda rate: rate <= 25, Bounds(growth=2, steps=3)) == 20
    assert tried == [10, 20, 40]


# --- the table --------------------------------------------------------------------------------


def test_each_server_is_compared_with_the_reference_at_as_many_connections() -> None:
    reference, ours = step(seconds=1.0), step(seconds=1.0, arrivals=21_000)
    rows = [Row(REFERENCE, 200, reference), Row("ours", 200, ours), Row("ours", 1000, ours)]
    lines = table([rows]).splitlines()
    assert lines[3] == "| ours | 200 | 21,000 | 0.0 | 0 | 7.5 | 10.0 | 35.71 | 21.0 | 21.0 |"
    assert lines[4] == "| ours | 1,000 | 21,000 | 0.0 | 0 | 7.5 | 10.0 | 35.71 |  |  |"


def test_of_several_runs_the_median_of_each_figure_is_told() -> None:
    runs = [
        [Row(REFERENCE, 200, step(arrivals=base)), Row("ours", 200, step(arrivals=arrivals, p99_ms=p99_ms))]
        for base, arrivals, p99_ms in [(1000, 30_000, 9), (1000, 10_000, 30), (2000, 20_000, 20)]
    ]
    assert (
        table(runs).splitlines()[3] == "| ours | 200 | 10,000 | 0.0 | 0 | 7.5 | 20.0 | 37.50 | 10.0 | 10.0 |"
    )


def test_a_run_in_which_a_server_sustained_nothing_does_not_count() -> None:
    runs = [[Row("ours", 200, None)], [Row("ours", 200, step(seconds=1.0))]]
    assert table(runs).splitlines()[2] == "| ours | 200 | 1,000 | 0.0 | 0 | 7.5 | 10.0 | 750.00 |  |  |"


def test_a_server_that_was_not_measured_says_why() -> None:
    rows = [Row("Node ws", 200, None, note="skipped: no node"), Row("slow", 200, None)]
    lines = table([rows]).splitlines()
    assert lines[2] == "| Node ws | 200 | skipped: no node | | | | | | | |"
    assert lines[3] == "| slow | 200 | none sustained | | | | | | | |"


def test_all_processes_of_a_server_count() -> None:
    both = [Process(1, 0.5, 0, 0), Process(2, 0.25, 0, 0)]
    assert step(processes=both).cpu_s == 0.75
