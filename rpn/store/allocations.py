"""Read what is held, as the scheduler's commits have written it."""

from __future__ import annotations

from rpn.codec import unpack_record
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.records import AllocationRecord


class AllocationStore:
    """The allocations of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._key = keys.allocations

    async def held(self) -> list[AllocationRecord]:
        """All of them. Raises StoreUnavailable."""
        found: list[bytes] = await self._connection.command("HVALS", self._key)
        return [unpack_record(AllocationRecord, each) for each in found]

    async def get(self, allocation_id: str) -> AllocationRecord | None:
        """One of them. Raises StoreUnavailable."""
        found: bytes | None = await self._connection.command("HGET", self._key, allocation_id)
        return None if found is None else unpack_record(AllocationRecord, found)
