"""The promises of rpn.store.leadership: one leader at a time, each with a larger fence."""

from __future__ import annotations

import asyncio

import pytest

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.leadership import Leadership


@pytest.fixture
def leadership(connection: Connection, keys: Keys) -> Leadership:
    return Leadership(connection, keys, lease_ms=60_000)


async def test_one_of_many_leads(leadership: Leadership) -> None:
    fences = await asyncio.gather(*(leadership.take() for _ in range(10)))
    assert sum(fence is not None for fence in fences) == 1


async def test_a_lease_ends_by_itself(connection: Connection, keys: Keys, leadership: Leadership) -> None:
    await leadership.take()
    assert 50_000 < await connection.command("PTTL", keys.lease) <= 60_000


async def test_who_leads_may_let_another_lead_at_once_under_a_larger_fence(leadership: Leadership) -> None:
    fences = []
    for _ in range(20):
        fence = await leadership.take()
        assert fence is not None
        fences.append(fence)
        await leadership.release(fence)
    assert fences == sorted(set(fences))


async def test_a_fence_grows_although_the_clock_went_back(
    connection: Connection, keys: Keys, leadership: Leadership
) -> None:
    tomorrow = 4_000_000_000_000
    await connection.command("SET", keys.fence, tomorrow)
    assert await leadership.take() == tomorrow + 1


async def test_a_fence_grows_although_the_last_one_was_lost(leadership: Leadership) -> None:
    fence = await leadership.take()
    assert fence is not None
    assert fence > 1_600_000_000_000  # the store's clock, which no earlier fence can pass


async def test_who_was_deposed_releases_nothing(
    connection: Connection, keys: Keys, leadership: Leadership
) -> None:
    old = await leadership.take()
    assert old is not None
    await connection.command("DEL", keys.lease)
    new = await leadership.take()
    await leadership.release(old)
    assert await connection.command("GET", keys.lease) == str(new).encode()
