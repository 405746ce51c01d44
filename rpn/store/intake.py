"""Read what is asked of the scheduler. Reading changes nothing: the commit deletes what it answers."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, get_args

import msgspec

from rpn.codec import unpack_record
from rpn.store.connection import Connection, Dedicated
from rpn.store.keys import Keys
from rpn.store.records import RequestStreamEntry, TaskStreamEntry, tag_of

log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 2.0
"""how long a reply may take beyond the time it was told to wait"""


KINDS: dict[str, Any] = {"requests": RequestStreamEntry, "tasks": TaskStreamEntry}
TAGS = {place: {kind.__struct_config__.tag for kind in get_args(KINDS[place])} for place in KINDS}


class Unreadable(NamedTuple):
    """An entry that is broken."""

    place: str
    """requests or tasks"""
    entry_id: str


class Intaken(NamedTuple):
    """What came in, with the ids of the entries, in stream order."""

    requests: list[tuple[str, RequestStreamEntry]]
    tasks: list[tuple[str, TaskStreamEntry]]
    unreadable: list[Unreadable]
    """what no version could read"""


class Intake:
    """A reading position in both streams of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._after = {keys.requests: "0", keys.tasks: "0"}
        self._link: Dedicated | None = None
        self._opened: Any = None
        self._unknown: set[str] = set()
        """kinds of entries that we have said we leave alone"""

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
        unreadable: list[Unreadable] = []
        requests = self._decoded("requests", self._keys.requests, found, unreadable)
        tasks = self._decoded("tasks", self._keys.tasks, found, unreadable)
        return Intaken(requests, tasks, unreadable)

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

    def _decoded(
        self, place: str, stream: str, found: dict[str, Any], unreadable: list[Unreadable]
    ) -> list[tuple[str, Any]]:
        """What can be read; what cannot goes to `unreadable`, what a later version may read nowhere."""
        kind, decoded = KINDS[place], []
        for name, fields in found.get(stream, []):
            self._after[stream] = entry_id = name.decode()
            try:
                decoded.append((entry_id, unpack_record(kind, fields[1])))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                tag = tag_of(fields[1])
                if not tag or tag in TAGS[place]:
                    log.error(
                        "cannot read entry %s of %s (%s): %r", entry_id, stream, error, fields[1][:1000]
                    )
                    unreadable.append(Unreadable(place, entry_id))
                elif tag not in self._unknown:
                    self._unknown.add(tag)
                    log.warning("leaving entries %r of %s to a scheduler that knows them", tag, stream)
        return decoded
