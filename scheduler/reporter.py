"""Tells the pool's news while we lead: what was decided, and which gateways come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rpn.codec import encode
from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.news import NewsChannel
from scheduler.news import News

log = logging.getLogger(__name__)

TELL_EVERY_S = 0.05
"""so long news gather"""
LOOK_EVERY_S = 1.0
"""how often we look which gateways there are"""


class Reporter:
    """One leadership's; what cannot be told is lost."""

    def __init__(self, connection: Connection, keys: Keys, news: News, clock: Callable[[], int]) -> None:
        self._connection = connection
        self._gateways_key = keys.gateways
        self._channel = NewsChannel(connection, keys)
        self._news = news
        self._clock = clock
        self._gateways: set[str] | None = None

    async def run(self) -> None:
        """Report for ever."""
        loop = asyncio.get_running_loop()
        look_s = 0.0
        while True:
            try:
                if loop.time() >= look_s:
                    look_s = loop.time() + LOOK_EVERY_S
                    await self.look()
                await self.tell()
            except StoreUnavailable as error:
                log.debug("not told: %s", error)
            await asyncio.sleep(TELL_EVERY_S)

    async def tell(self) -> None:
        """What may be told now. Raises StoreUnavailable."""
        events = self._news.due(self._clock())
        if events:
            await self._channel.tell([encode(event) for event in events])

    async def look(self) -> None:
        """Note which gateways are new and which are gone. Raises StoreUnavailable."""
        found = {
            name.decode() for name in await self._connection.command("ZRANGE", self._gateways_key, 0, -1)
        }
        before, self._gateways = self._gateways, found
        if before is None:
            return
        for gateway_id in sorted(found ^ before):
            state = "up" if gateway_id in found else "down"
            self._news.add("gateway", self._clock(), gateway_id=gateway_id, state=state)
