"""What a scheduler tells Prometheus: plain ints that its parts count, and how things stand when asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from rpn import __version__
from scheduler.counts import Counts
from scheduler.durations import Durations
from scheduler.standing import Standing
from scheduler.vitals import Vitals

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Gauges(NamedTuple):
    """How things stand at the moment of asking."""

    leads: bool
    standing: Standing
    """of the leadership; of nothing while another process leads"""
    pool_devices: int
    mirror_resyncs: int
    store: Vitals | None
    """None while it is away"""


_COUNTERS = (
    ("takeovers", "Times this process began to lead.", "takeovers"),
    ("commits", "Commits written.", "commits"),
    ("commit_seconds", "Time that commits took to be written.", "commit_s"),
    ("commits_refused", "Commits refused by the fence; each ends a leadership.", "refused"),
    ("decisions", "Decisions committed, those that were skipped included.", "decisions"),
    ("decisions_skipped", "Decisions whose devices had moved on.", "skipped"),
    ("deliveries_moved", "Messages whose receiver had moved on.", "moved"),
    ("allocations_freed", "Allocations given back.", "allocations_freed"),
    ("attempts", "Tasks given to a device.", "attempts"),
    ("attempts_lost", "Attempts lost with their device.", "attempts_lost"),
    ("entries_dropped", "Entries nobody could make sense of.", "entries_dropped"),
)
_OUTCOMES = (
    ("assigned", "attempts"),
    ("lost", "attempts_lost"),
    ("granted", "requests_fulfilled"),
    ("refused", "requests_refused"),
    ("tried", "requests_tried"),
    ("freed", "allocations_freed"),
    ("dropped", "requests_dropped"),
    ("skipped", "skipped"),
)
_HISTOGRAMS = (
    (
        "store_write_seconds",
        "Time until the store had a commit for good, fsync (and replica, where asked for) included.",
        "store_writes",
    ),
    (
        "decision_seconds",
        "Time of a round that decided something, without the wait for its commits.",
        "rounds",
    ),
    ("queue_wait_seconds", "How long tasks waited until a device was found.", "waits"),
)
_REQUESTS = (
    ("fulfilled", "requests_fulfilled"),
    ("refused", "requests_refused"),
    ("tried", "requests_tried"),
    ("dropped", "requests_dropped"),
)


class SchedulerCollector(Collector):
    """One scrape's worth."""

    def __init__(self, counts: Counts, now: Gauges) -> None:
        self._counts = counts
        self._now = now

    def collect(self) -> Iterator[Metric]:
        now = self._now
        yield InfoMetricFamily("rpn_build", "The running version.", value={"version": __version__})
        for name, text, field in _COUNTERS:
            yield CounterMetricFamily(f"rpn_scheduler_{name}", text, value=getattr(self._counts, field))
        requests = CounterMetricFamily(
            "rpn_scheduler_requests", "Resource requests decided.", labels=["outcome"]
        )
        for outcome, field in _REQUESTS:
            requests.add_metric([outcome], getattr(self._counts, field))
        yield requests
        ended = CounterMetricFamily("rpn_scheduler_tasks_ended", "Tasks that are over.", labels=["state"])
        for state, count in self._counts.tasks_ended.items():
            ended.add_metric([state.value], count)
        yield ended
        yield CounterMetricFamily(
            "rpn_scheduler_mirror_resyncs", "Snapshots loaded after the first.", value=now.mirror_resyncs
        )
        for name, text, field in _HISTOGRAMS:
            durations: Durations = getattr(self._counts, field)
            yield HistogramMetricFamily(
                f"rpn_scheduler_{name}", text, buckets=durations.classes(), sum_value=durations.sum_s
            )
        decided = CounterMetricFamily(
            "rpn_scheduler_decided", "Decisions by what became of them.", labels=["outcome"]
        )
        for outcome, field in _OUTCOMES:
            decided.add_metric([outcome], getattr(self._counts, field))
        yield decided
        yield from self._gauges()
        if self._now.store is not None:
            yield from _of_the_store(self._now.store)

    def _gauges(self) -> Iterator[Metric]:
        now, standing = self._now, self._now.standing
        yield _gauge("leader", "1 while this process decides.", int(now.leads))
        yield _gauge("store_up", "1 while the pool's server answers.", int(now.store is not None))
        yield _gauge("pool_devices", "Devices of the whole pool, as this process sees it.", now.pool_devices)
        yield _gauge("queue_length", "Tasks that wait for a device.", standing.queued)
        yield _gauge("entries_waiting", "Entries read and not decided yet.", standing.unheard)
        yield _gauge("allocations_held", "Allocations that are held.", standing.allocations)
        depths = GaugeMetricFamily("rpn_scheduler_queue_depth", "Tasks that wait, by why.", labels=["reason"])
        for reason, count in standing.depths.items():
            depths.add_metric([reason], count)
        yield depths
        tasks = GaugeMetricFamily("rpn_scheduler_open_tasks", "Tasks not over yet.", labels=["state"])
        for state, count in standing.tasks.items():
            tasks.add_metric([state.value], count)
        yield tasks


def _of_the_store(store: Vitals) -> Iterator[Metric]:
    """How the pool's server is; what it does not tell is left out."""
    yield _gauge("store_ping_seconds", "One round trip to the pool's server.", store.ping_s)
    lag = GaugeMetricFamily(
        "rpn_scheduler_stream_lag_seconds", "Age of the oldest entry not answered yet.", labels=["stream"]
    )
    for stream, lag_s in store.lags_s.items():
        lag.add_metric([stream], lag_s)
    yield lag
    streams = GaugeMetricFamily(
        "rpn_scheduler_stream_length", "Entries in the store not answered yet.", labels=["stream"]
    )
    for stream, length in store.streams.items():
        streams.add_metric([stream], length)
    yield streams
    told = {name: value for name, value in store.info.items() if isinstance(value, int | float)}
    if "used_memory" in told:
        yield _gauge("store_memory_bytes", "Memory that the pool's server uses.", told["used_memory"])
    if "maxmemory" in told:
        text = "Where the pool's server refuses new work; 0: it has no limit of its own."
        yield _gauge("store_memory_limit_bytes", text, told["maxmemory"])
    if "used_cpu_user" in told:
        cpu_s = told["used_cpu_user"] + told["used_cpu_sys"]
        text = "Processor time of the pool's server; it has one core for its work."
        yield CounterMetricFamily("rpn_scheduler_store_cpu_seconds", text, value=cpu_s)
    if "aof_last_write_status" in store.info:
        well = store.info["aof_last_write_status"] == "ok"
        yield _gauge("store_log_ok", "1 while the server can write its append-only file.", int(well))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rpn_scheduler_{name}", text, value=value)


def exposition(counts: Counts, now: Gauges) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(SchedulerCollector(counts, now))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
