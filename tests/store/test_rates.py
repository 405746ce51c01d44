"""The promises of rpn.store.rates: requests are counted by address, in windows that end."""

from __future__ import annotations

import asyncio

import pytest

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.rates import WINDOW_MS, Rates


@pytest.fixture
def rates(connection: Connection, keys: Keys) -> Rates:
    return Rates(connection, keys)


async def test_a_window_counts_and_says_when_it_ends(rates: Rates) -> None:
    first, left_ms = await rates.count("10.0.0.1")
    second, later_ms = await rates.count("10.0.0.1")
    assert (first, second) == (1, 2)
    assert WINDOW_MS >= left_ms >= later_ms > WINDOW_MS - 10_000


async def test_every_address_has_its_own_window(rates: Rates) -> None:
    await rates.count("10.0.0.1")
    assert (await rates.count("10.0.0.2"))[0] == 1


async def test_none_is_forgotten_however_many_come_at_once(rates: Rates) -> None:
    counted = await asyncio.gather(*(rates.count("10.0.0.1") for _ in range(50)))
    assert sorted(count for count, _ in counted) == list(range(1, 51))


async def test_a_window_that_ended_starts_over(connection: Connection, keys: Keys, rates: Rates) -> None:
    await rates.count("10.0.0.1")
    await connection.command("PEXPIREAT", keys.rate("10.0.0.1"), 1)
    assert (await rates.count("10.0.0.1"))[0] == 1
