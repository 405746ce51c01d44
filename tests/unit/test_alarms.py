"""The promises of scheduler.alarms: each bearer rings once, at its latest time, and nothing old is kept."""

from __future__ import annotations

from scheduler.alarms import SPARE, Alarms


class Bearer:
    def __init__(self, name: str) -> None:
        self.key = ("s", name)
        self.alarm_ms = 0


def test_a_bearer_rings_once_at_the_time_it_was_set_to_last() -> None:
    alarms, bearer = Alarms[Bearer](), Bearer("a")
    alarms.set(bearer, 10)
    alarms.set(bearer, 20)
    assert alarms.rung(10) == []
    assert alarms.next_ms() == 20
    assert [alarms.rung(20), alarms.rung(30)] == [[bearer], []]


def test_those_who_are_due_ring_in_order_and_an_unset_one_not_at_all() -> None:
    alarms, bearers = Alarms[Bearer](), [Bearer(name) for name in "abc"]
    for at_ms, bearer in zip((3, 1, 2), bearers, strict=True):
        alarms.set(bearer, at_ms)
    alarms.set(bearers[2], 0)
    assert [bearer.key[1] for bearer in alarms.rung(9)] == ["b", "a"]
    assert alarms.next_ms() is None


def test_obsolete_times_do_not_pile_up() -> None:
    alarms = Alarms[Bearer]()
    for number in range(10 * SPARE):
        bearer = Bearer(str(number))
        alarms.set(bearer, 1_000_000)
        alarms.set(bearer, 0)
    assert len(alarms) == 0
    assert len(alarms._heap) <= SPARE + 1
