"""What a scheduler tells Prometheus: plain ints that its parts count, and how things stand when asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from rpn import __version__
from scheduler.counts import Counts
from scheduler.standing import Standing

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Gauges(NamedTuple):
    """How things stand at the moment of asking."""

    leads: bool
    standing: Standing
    """of the leadership; of nothing while another process leads"""
    pool_devices: int
    mirror_resyncs: int
    streams: dict[str, int]
    """stream -> entries; empty while the store is away"""
    store_ping_s: float | None
    """one round trip to the store; None while it is away"""


_COUNTERS = (
    ("takeovers", "Times this process began to lead.", "takeovers"),
    ("commits", "Commits written.", "commits"),
    ("commit_seconds", "Time that commits took to be written.", "commit_s"),
    ("decisions", "Decisions committed, those that were skipped included.", "decisions"),
    ("decisions_skipped", "Decisions whose devices had moved on.", "skipped"),
    ("deliveries_moved", "Messages whose receiver had moved on.", "moved"),
    ("allocations_freed", "Allocations given back.", "allocations_freed"),
    ("attempts", "Tasks given to a device.", "attempts"),
    ("attempts_lost", "Attempts lost with their device.", "attempts_lost"),
    ("entries_dropped", "Entries nobody could make sense of.", "entries_dropped"),
)
_REQUESTS = (
    ("fulfilled", "requests_fulfilled"),
    ("refused", "requests_refused"),
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
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        now, standing = self._now, self._now.standing
        yield _gauge("leader", "1 while this process decides.", int(now.leads))
        yield _gauge("store_up", "1 while the pool's server answers.", int(now.store_ping_s is not None))
        if now.store_ping_s is not None:
            yield _gauge("store_ping_seconds", "One round trip to the pool's server.", now.store_ping_s)
        yield _gauge("pool_devices", "Devices of the whole pool, as this process sees it.", now.pool_devices)
        yield _gauge("queue_length", "Tasks that wait for a device.", standing.queued)
        yield _gauge("entries_waiting", "Entries read and not decided yet.", standing.unheard)
        yield _gauge("allocations_held", "Allocations that are held.", standing.allocations)
        tasks = GaugeMetricFamily("rpn_scheduler_open_tasks", "Tasks not over yet.", labels=["state"])
        for state, count in standing.tasks.items():
            tasks.add_metric([state.value], count)
        yield tasks
        streams = GaugeMetricFamily(
            "rpn_scheduler_stream_length", "Entries in the store not answered yet.", labels=["stream"]
        )
        for stream, length in now.streams.items():
            streams.add_metric([stream], length)
        yield streams


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rpn_scheduler_{name}", text, value=value)


def exposition(counts: Counts, now: Gauges) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(SchedulerCollector(counts, now))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
