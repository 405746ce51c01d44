"""Read what is asked of the scheduler. Reading changes nothing: the commit deletes what it answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from rpn.codec import unpack_record
from rpn.store.connection import Connection, Dedicated
from rpn.store.keys import Keys
from rpn.store.records import RequestStreamEntry, TaskStreamEntry

ANSWER_LIMIT_S = 2.0
"""how long a reply may take beyond the time it was told to wait"""


class Intaken(NamedTuple):
    """What came in, with the ids of the entries, in stream order."""

    requests: list[tuple[str, RequestStreamEntry]]
    tasks: list[tuple[str, TaskStreamEntry]]


class Intake:
    """A reading position in both streams of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._after = {keys.requests: "0", keys.tasks: "0"}
        self._link: Dedicated | None = None
        self._opened: Any = None

    def rewind(self) -> None:
        """Start from the oldest entry again."""
        self._after = dict.fromkeys(self._after, "0")

    async def read(self, *, block_ms: int, count: int) -> Intaken:
        """The next entries of each stream, at most `count`, or none after `block_ms`.

        Raises StoreUnavailable; the next call connects anew.
        """
        try:
            link = await self._connected()
            streams = list(self._after)
            reply = await link.command(
                *("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS"),
                *streams,
                *self._after.values(),
                limit_s=block_ms / 1000 + ANSWER_LIMIT_S,
            )
        except BaseException:
            await self.close()
            raise
        found = {name.decode(): entries for name, entries in reply or []}
        return Intaken(
            self._decoded(self._keys.requests, found, RequestStreamEntry),
            self._decoded(self._keys.tasks, found, TaskStreamEntry),
        )

    async def close(self) -> None:
        """Give the connection back."""
        opened, self._opened, self._link = self._opened, None, None
        if opened is not None:
            await opened.__aexit__(None, None, None)

    async def _connected(self) -> Dedicated:
        if self._link is None:
            opened = self._connection.dedicated()
            self._link = await opened.__aenter__()
            self._opened = opened
        return self._link

    def _decoded(self, stream: str, found: dict[str, Any], kind: Any) -> list[tuple[str, Any]]:
        decoded = [
            (entry_id.decode(), unpack_record(kind, fields[1])) for entry_id, fields in found.get(stream, [])
        ]
        if decoded:
            self._after[stream] = decoded[-1][0]
        return decoded
