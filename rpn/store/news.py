"""The pool's channel of news: what clients that accept `events` are told; it may lose anything."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rpn.codec import pack, unpack
from rpn.store.connection import Connection
from rpn.store.keys import Keys

SUBSCRIBE_LIMIT_S = 2.0
MESSAGES = (b"message", b"smessage")


class NewsChannel:
    """One pool's; whoever listens hears what is told from then on."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._channel = keys.news

    async def tell(self, frames: list[bytes]) -> None:
        """Send ready-made `pool_event`s to every gateway. Raises StoreUnavailable."""
        await self._connection.command(self._connection.publish, self._channel, pack(frames))

    async def heard(self) -> AsyncIterator[list[bytes]]:
        """What is told, for as long as the connection stands. Raises StoreUnavailable."""
        async with self._connection.dedicated() as link:
            await link.command(self._connection.subscribe, self._channel, limit_s=SUBSCRIBE_LIMIT_S)
            while True:
                message = await link.receive(limit_s=None)
                if message[0] not in MESSAGES:
                    return  # a Cluster gave the pool's slot away
                yield list(unpack(message[2]))
