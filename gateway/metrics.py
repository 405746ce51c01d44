"""What the gateway counts: plain ints on the hot paths, read by Prometheus when it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from rpn import __version__


class Counters:
    """Everything counted since the process started."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        """messages by type"""
        self.refused: Counter[str] = Counter()
        """messages and requests by the code of the error"""
        self.closed: Counter[int] = Counter()
        """connections we closed, by close code"""
        self.requests: Counter[int] = Counter()
        """REST requests by status"""
        self.frames = 0
        self.bytes = 0
        self.skipped = 0
        """frames not sent to lagging clients"""
        self.folded = 0
        """updates left out because a newer one of their device waited with them"""
        self.rounds = 0
        self.round_s = 0.0
        self.fanout_s = 0.0
        """from the first frame of a round to its last write"""
        self.batches = 0
        self.batch_operations = 0
        self.batch_s = 0.0
        self.steps = 0
        self.resyncs = 0
        self.wrong_tokens = 0

    def sent(self, frames: int, size: int) -> None:
        self.frames += frames
        self.bytes += size

    def round(self, cost_s: float, *, gathered_s: float = 0.0) -> None:
        """A round was written, after it had been gathered for so long."""
        self.rounds += 1
        self.round_s += cost_s
        self.fanout_s += gathered_s + cost_s

    def batch(self, operations: int, trip_s: float) -> None:
        self.batches += 1
        self.batch_operations += operations
        self.batch_s += trip_s


class Gauges(NamedTuple):
    """How things stand now."""

    devices_connected: int
    observers_connected: int
    connections: int
    lagging: int
    pool_devices: int
    store_up: bool
    follower_resyncs: int
    events: int = 0
    """heard on the pool's channel"""
    bus_s: float = 0.0
    """from their publishing to our hearing of them, together"""
    insecure_open: bool = False


_COUNTERS = (
    ("frames_sent", "Frames written to clients.", "frames"),
    ("sent_bytes", "Bytes written to clients.", "bytes"),
    ("frames_skipped", "Frames not sent to clients that lagged behind.", "skipped"),
    ("updates_folded", "Updates not told because a newer one waited too: the store was behind.", "folded"),
    ("rounds", "Rounds of broadcasting.", "rounds"),
    ("round_seconds", "Time spent writing rounds.", "round_s"),
    ("fanout_delay_seconds", "Time from the first frame of a round to its last write.", "fanout_s"),
    ("batches", "Batches of device operations applied.", "batches"),
    ("batch_operations", "Device operations applied.", "batch_operations"),
    ("batch_seconds", "Time that batches took to be applied.", "batch_s"),
    ("steps", "Requests, tasks and reports entered into the store.", "steps"),
    ("wrong_tokens", "Tokens and tickets shown that are not good (any more).", "wrong_tokens"),
    ("gateway_resyncs", "Times the pool had forgotten this gateway.", "resyncs"),
)
_LABELLED = (
    ("messages_received", "Messages from clients.", "type", "received"),
    ("errors", "Messages and requests refused.", "code", "refused"),
    ("closes", "Connections closed from our side.", "code", "closed"),
    ("requests", "REST requests answered.", "status", "requests"),
)


class GatewayCollector(Collector):
    """Reads the counters when somebody scrapes."""

    def __init__(self, counters: Counters, gauges: Callable[[], Gauges]) -> None:
        self._counters = counters
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        now = self._gauges()
        yield InfoMetricFamily("rpn_build", "The running version.", value={"version": __version__})
        connections = GaugeMetricFamily("rpn_gateway_connections", "Open WebSockets.", labels=["kind"])
        connections.add_metric(["device"], now.devices_connected)
        connections.add_metric(["observer"], now.observers_connected)
        connections.add_metric(
            ["unregistered"], now.connections - now.devices_connected - now.observers_connected
        )
        yield connections
        yield _gauge("lagging_clients", "Clients that do not take what is sent.", now.lagging)
        yield _gauge("pool_devices", "Devices of the whole pool, as this gateway sees it.", now.pool_devices)
        yield _gauge("store_up", "1 while the pool's server answers.", int(now.store_up))
        yield _gauge(
            "insecure_open", "1 while whoever reaches it from elsewhere may use it.", int(now.insecure_open)
        )
        yield CounterMetricFamily(
            "rpn_gateway_mirror_resyncs", "Snapshots loaded after the first.", value=now.follower_resyncs
        )
        yield CounterMetricFamily("rpn_gateway_events", "Events of the pool applied.", value=now.events)
        yield CounterMetricFamily(
            "rpn_gateway_bus_delay_seconds", "Time from publishing events to applying them.", value=now.bus_s
        )
        for name, text, field in _COUNTERS:
            yield CounterMetricFamily(f"rpn_gateway_{name}", text, value=getattr(self._counters, field))
        for name, text, label, field in _LABELLED:
            family = CounterMetricFamily(f"rpn_gateway_{name}", text, labels=[label])
            for value, count in sorted(getattr(self._counters, field).items()):
                family.add_metric([str(value)], count)
            yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rpn_gateway_{name}", text, value=value)


class Exposition:
    """The text that Prometheus scrapes."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)
