"""What a gateway tells of itself: rates and averages between two readings, and the pool's sums."""

from __future__ import annotations

from gateway.vitals import Reading, rates, usage
from tests.support import make

NOTHING = Reading(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_rates_are_a_second_and_averages_are_of_what_happened() -> None:
    later = NOTHING._replace(at_s=5, received=50, sent=1000, sent_bytes=5120, rounds=10, fanout_s=0.02)
    found = rates(NOTHING, later)
    assert (found.received_per_s, found.sent_per_s, found.sent_kib_per_s) == (10, 200, 1)
    assert found.fanout_ms == 2


def test_what_did_not_happen_has_no_average() -> None:
    found = rates(NOTHING, NOTHING._replace(at_s=5))
    assert (found.bus_ms, found.batch_ms, found.fanout_ms) == (None, None, None)


def test_usage_sums_over_devices_in_core_percent_and_mb() -> None:
    busy = make.resources(cpu_usage=50, memory_usage=1000, has_gpu=True, gpu_usage=25)
    sums = usage([busy, make.resources()])
    assert (sums["cpuTotal"], sums["cpuUsed"]) == (1600, 400)
    assert (sums["memoryTotal"], sums["memoryUsed"]) == (2 * 16384, 1000)
    assert (sums["gpuTotal"], sums["gpuUsed"]) == (1, 0.25)
