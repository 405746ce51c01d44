"""Brings the pool's news to those of our clients who accept `events`."""

from __future__ import annotations

import asyncio
import logging

from gateway.hub import Hub
from rpn.errors import StoreUnavailable
from rpn.store.news import NewsChannel

log = logging.getLogger(__name__)

RETRY_LIMIT_S = 1.0


class Newsagent:
    """Listens to the pool's channel of news; what is told while it cannot, nobody here hears."""

    def __init__(self, channel: NewsChannel, hub: Hub) -> None:
        self._channel = channel
        self._hub = hub

    async def run(self) -> None:
        """Listen for ever."""
        pause_s = 0.02
        while True:
            try:
                async for frames in self._channel.heard():
                    pause_s = 0.02
                    self._hub.tell_news(frames)
            except StoreUnavailable as error:
                log.debug("no news of the pool: %s", error)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_LIMIT_S)
