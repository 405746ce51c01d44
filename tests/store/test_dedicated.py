"""The promises of rpn.store.dedicated: everything in order, however much waits; nobody waits for ever."""

from __future__ import annotations

import pytest

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.dedicated import UNREAD_LIMIT
from rpn.store.keys import Keys

PATIENCE_S = 10.0


async def test_what_nobody_has_read_yet_waits_in_order(connection: Connection, keys: Keys) -> None:
    count = 4 * UNREAD_LIMIT
    async with connection.dedicated() as link:
        await link.command(connection.subscribe, keys.events, limit_s=PATIENCE_S)
        for number in range(count):
            await connection.command(connection.publish, keys.events, number)
        heard = [(await link.receive(limit_s=PATIENCE_S))[2] for _ in range(count)]
    assert heard == [b"%d" % number for number in range(count)]


async def test_a_short_limit_after_a_long_one_is_kept(connection: Connection, keys: Keys) -> None:
    async with connection.dedicated() as link:
        assert await link.command("PING", limit_s=3600) == b"PONG"
        with pytest.raises(StoreUnavailable, match="in time"):
            await link.command("BLPOP", keys.open, "5", limit_s=0.01)


async def test_what_broke_stays_broken(connection: Connection, keys: Keys) -> None:
    async with connection.dedicated() as link:
        with pytest.raises(StoreUnavailable):
            await link.command("BLPOP", keys.open, "5", limit_s=0.01)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await link.command("PING", limit_s=PATIENCE_S)
