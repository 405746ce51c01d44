"""What a gateway tells of itself: rates and averages between two readings."""

from __future__ import annotations

from gateway.vitals import Reading, rates

NOTHING = Reading(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_rates_are_a_second_and_averages_are_of_what_happened() -> None:
    later = NOTHING._replace(at_s=5, received=50, sent=1000, sent_bytes=5120, rounds=10, fanout_s=0.02)
    found = rates(NOTHING, later)
    assert (found.received_per_s, found.sent_per_s, found.sent_kib_per_s) == (10, 200, 1)
    assert found.fanout_ms == 2


def test_what_did_not_happen_has_no_average() -> None:
    found = rates(NOTHING, NOTHING._replace(at_s=5))
    assert (found.bus_ms, found.batch_ms, found.fanout_ms) == (None, None, None)
