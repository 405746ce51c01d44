"""What Prometheus reads."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Counters, Exposition, GatewayCollector, Gauges

GAUGES = Gauges(
    devices_connected=3,
    observers_connected=2,
    connections=6,
    lagging=1,
    pool_devices=9,
    store_up=True,
    follower_resyncs=4,
    events=8,
    bus_s=0.5,
    insecure_open=True,
)


def samples(counters: Counters) -> dict[tuple[str, str], float]:
    """Every sample of ours, by name and label."""
    text = Exposition(GatewayCollector(counters, lambda: GAUGES)).text().decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_was_counted_is_told() -> None:
    counters = Counters()
    counters.received["heartbeat"] += 2
    counters.refused["BAD_MESSAGE"] += 1
    counters.closed[1008] += 5
    counters.requests[429] += 7
    counters.sent(10, 1000)
    counters.round(0.25, gathered_s=0.5)
    counters.batch(20, 0.5)
    found = samples(counters)
    assert found["rpn_gateway_messages_received_total", "heartbeat"] == 2
    assert found["rpn_gateway_errors_total", "BAD_MESSAGE"] == 1
    assert found["rpn_gateway_closes_total", "1008"] == 5
    assert found["rpn_gateway_requests_total", "429"] == 7
    assert found["rpn_gateway_frames_sent_total", ""] == 10
    assert found["rpn_gateway_sent_bytes_total", ""] == 1000
    assert found["rpn_gateway_round_seconds_total", ""] == 0.25
    assert found["rpn_gateway_fanout_delay_seconds_total", ""] == 0.75
    assert found["rpn_gateway_batch_operations_total", ""] == 20


def test_how_things_stand_is_told() -> None:
    found = samples(Counters())
    kinds = {kind: found["rpn_gateway_connections", kind] for kind in ("device", "observer", "unregistered")}
    assert kinds == {"device": 3, "observer": 2, "unregistered": 1}
    assert found["rpn_gateway_pool_devices", ""] == 9
    assert found["rpn_gateway_store_up", ""] == 1
    assert found["rpn_gateway_mirror_resyncs_total", ""] == 4
    assert found["rpn_gateway_events_total", ""] == 8
    assert found["rpn_gateway_bus_delay_seconds_total", ""] == 0.5


def test_nothing_is_told_by_device() -> None:
    text = Exposition(GatewayCollector(Counters(), lambda: GAUGES)).text().decode()
    assert set(re.findall(r"rpn_\w+\{(\w+)=", text)) <= {"kind", "type", "code", "status", "version"}
