"""Counting what one client may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import ADDRESSES_KEPT, LocalRates, Window, rate_address
from rpn.codec import DEPTH_LIMIT, storable


def test_a_window_admits_so_many_in_any_span() -> None:
    window = Window(3, 60)
    assert [window.admits(now_s) for now_s in (0, 1, 2, 3, 59.9)] == [True, True, True, False, False]
    assert window.admits(60)
    assert not window.admits(60.5)
    assert window.admits(61)


@given(st.lists(st.floats(0, 300), max_size=60).map(sorted))
def test_no_span_ever_holds_more(times: list[float]) -> None:
    window = Window(5, 60)
    admitted = [now_s for now_s in times if window.admits(now_s)]
    assert all(later - first >= 60 for first, later in zip(admitted, admitted[5:], strict=False))


def test_a_window_is_idle_once_its_span_has_passed() -> None:
    window = Window(1, 10)
    assert window.idle(0)
    window.admits(0)
    assert not window.idle(9.9)
    assert window.idle(10)


def test_local_windows_begin_with_the_first_request() -> None:
    rates = LocalRates(60_000)
    assert rates.count("a", 1000) == (1, 60_000)
    assert rates.count("a", 31_000) == (2, 30_000)
    assert rates.count("b", 31_000) == (1, 60_000)
    assert rates.count("a", 61_000) == (1, 60_000)


def test_old_windows_are_forgotten_when_there_are_many() -> None:
    rates = LocalRates(1000)
    for number in range(ADDRESSES_KEPT):
        rates.count(str(number), 0)
    rates.count("new", 2000)
    assert len(rates._windows) == 1


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("::1", "::"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
        ("not an address", "not an address"),
    ],
)
def test_an_address_counts_as_itself_and_ipv6_by_its_network(address: str, counted: str) -> None:
    assert rate_address(address) == counted


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


@pytest.mark.parametrize(
    "value", [None, 1.5, "x", [], {}, [[], {}], 2**64 - 1, -(2**63), nested(DEPTH_LIMIT - 1)]
)
def test_what_can_be_stored_is_taken(value: Any) -> None:
    assert storable(value)


@pytest.mark.parametrize("value", [2**64, [{"n": -(2**63) - 1}], nested(DEPTH_LIMIT), nested(5000)])
def test_what_would_break_its_readers_is_not(value: Any) -> None:
    assert not storable(value)
