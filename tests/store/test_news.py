"""The promises of rpn.store.news: whoever listens hears what is told from then on."""

from __future__ import annotations

import asyncio

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.news import NewsChannel
from tests.support.patience import PATIENCE_S

FRAMES = [b'{"type":"pool_event","kind":"leader"}', "\u00fc".encode()]


async def test_every_listener_hears_the_frames_as_they_were_told(connection: Connection, keys: Keys) -> None:
    channel = NewsChannel(connection, keys)
    listeners = [channel.heard() for _ in range(2)]
    hearing = [asyncio.ensure_future(anext(each)) for each in listeners]
    async with asyncio.timeout(PATIENCE_S):
        while not all(each.done() for each in hearing):
            await channel.tell(FRAMES)
            await asyncio.sleep(0.01)
    assert [each.result() for each in hearing] == [FRAMES, FRAMES]
    for each in listeners:
        await each.aclose()  # type: ignore[attr-defined]
