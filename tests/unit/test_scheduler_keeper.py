"""Deadlines ring once, at their latest time, and the store knows what we know."""

from __future__ import annotations

from rpn.store.commits import Decision
from scheduler.keeper import Keeper


def test_deadlines_ring_in_order_when_their_time_has_come() -> None:
    keeper = Keeper({"late": 20, "early": 10, "later": 30})
    assert keeper.rung(20) == ["early", "late"]
    assert keeper.rung(20) == []
    assert keeper.next_ms() == 30


def test_a_deadline_that_was_moved_rings_at_its_new_time_only() -> None:
    keeper = Keeper({"a": 10})
    keeper.remember("a", 50)
    keeper.remember("a", 10)
    keeper.remember("a", 40)
    assert keeper.rung(30) == []
    assert keeper.rung(60) == ["a"]


def test_a_deadline_that_was_cleared_does_not_ring() -> None:
    keeper, decision = Keeper({"a": 10}), Decision()
    keeper.clear(decision, "a")
    keeper.clear(decision, "unknown")
    assert keeper.rung(60) == []
    assert keeper.next_ms() is None
    assert decision.commands == [("ZREM", "due", "a")]


def test_the_store_is_told_only_what_changes() -> None:
    keeper, decision = Keeper(), Decision()
    keeper.set(decision, "a", 10)
    keeper.set(decision, "a", 10)
    assert decision.commands == [("ZADD", "due", 10, "a")]
