"""Who schedules: a lease that one process holds, and the fence that tells its commits from others'."""

from __future__ import annotations

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.scripts import Script


class Leadership:
    """The lease of one pool's scheduler; commits renew it."""

    def __init__(self, connection: Connection, keys: Keys, *, lease_ms: int) -> None:
        self._keys = keys
        self._lease_ms = lease_ms
        self._lead = Script(connection, "scheduler_lead")
        self._resign = Script(connection, "scheduler_resign")

    async def take(self) -> int | None:
        """Our fence if nobody led, None while another does. Raises StoreUnavailable."""
        fence = await self._lead.run([self._keys.lease, self._keys.fence], [self._lease_ms])
        return int(fence) or None

    async def release(self, fence: int) -> None:
        """Let a standby lead at once."""
        await self._resign.run([self._keys.lease], [fence])
