"""Who did what about access, and how it ended: a bounded stream that operators read and export."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rpn.codec import pack_record, unpack_record
from rpn.store.connection import Connection
from rpn.store.keys import Keys

KEPT = 10_000
"""entries, about"""


class Deed(Struct, frozen=True, array_like=True):
    """One thing that somebody did or was refused."""

    who: str
    what: str
    outcome: str
    address: str = ""
    times: int = 1
    """how often within the same second"""


class Audit:
    """The pool's audit stream."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def write(self, deeds: list[Deed]) -> None:
        """Add them in this order. Raises StoreUnavailable."""
        key = self._keys.audit
        await self._connection.commands(
            [("XADD", key, "MAXLEN", "~", KEPT, "*", "d", pack_record(deed)) for deed in deeds]
        )

    async def newest(self, count: int) -> list[tuple[int, Deed]]:
        """(time in ms, deed) of the latest, the newest first. Raises StoreUnavailable."""
        words = ("XREVRANGE", self._keys.audit, "+", "-", "COUNT", count)
        found: list[Any] = await self._connection.command(*words)
        return [(_ms(entry_id), unpack_record(Deed, fields[b"d"])) for entry_id, fields in found]


def _ms(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
