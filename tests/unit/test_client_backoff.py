"""The waits between connections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpn.client import backoff
from rpn.client.backoff import Ending

chances = st.floats(0, 1)
failures = st.integers(0, 10_000)


@given(failures, chances)
def test_a_cut_connection_is_back_within_the_longest_wait(failed: int, chance: float) -> None:
    assert 0 <= backoff.wait_s(Ending(), failed, chance=chance) <= backoff.LONGEST_S


@given(failures, chances)
def test_more_failures_never_make_the_wait_shorter(failed: int, chance: float) -> None:
    shorter = backoff.wait_s(Ending(), failed, chance=chance)
    assert shorter <= backoff.wait_s(Ending(), failed + 1, chance=chance)


@given(failures, chances, chances)
def test_the_superseded_wait_longer_than_anybody_else(failed: int, chance: float, other: float) -> None:
    superseded = backoff.wait_s(Ending(superseded=True), failed, chance=chance)
    assert superseded > backoff.wait_s(Ending(), failed, chance=other)


@given(st.integers(0, 60_000), failures, chances)
def test_a_draining_gateway_is_obeyed(asked_ms: int, failed: int, chance: float) -> None:
    waited_s = backoff.wait_s(Ending(return_after_ms=asked_ms), failed, chance=chance)
    assert asked_ms / 1000 <= waited_s <= asked_ms / 1000 + backoff.DRAIN_SPREAD_S


@given(st.floats(0, 1e6), failures)
def test_failures_count_up_until_a_connection_lasts(lasted_s: float, failed: int) -> None:
    after = backoff.failures_after(Ending(lasted_s), failed)
    assert after == (0 if lasted_s >= backoff.STABLE_S else failed + 1)
