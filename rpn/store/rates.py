"""Count requests by address over all gateways, in windows of a minute."""

from __future__ import annotations

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.scripts import Script

WINDOW_MS = 60_000


class Rates:
    """The windows of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._keys = keys
        self._count = Script(connection, "rate_limit")

    async def count(self, address: str) -> tuple[int, int]:
        """(requests in this window so far, this one included; ms until it ends)."""
        count, left_ms = await self._count.run([self._keys.rate(address)], [WINDOW_MS])
        return int(count), max(0, int(left_ms))
