"""What callers that are no devices ask of the scheduler: the key remembers the answer, the mailbox nudges.

A call has an id. Its key holds a digest of what was asked, and the answer as soon as the scheduler's
commit has written it; the same commit puts a letter for the call into the mailbox of the gateway at
which it waits. A letter may be lost; then the key still tells.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from rpn.codec import pack_record
from rpn.errors import RequestConflict
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.records import CALL_MS, RequestStreamEntry, TaskStreamEntry
from rpn.store.scripts import Script
from rpn.store.steps import Step


class Entered(NamedTuple):
    """A call that the store has."""

    known: bool
    """it had it before"""
    answer: bytes
    """JSON; empty while there is none"""


class Calls:
    """The calls of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._enter = Script(connection, "call_enter")

    def request(self, call_id: str, asked: bytes, entry: RequestStreamEntry) -> Step[Entered]:
        """Ask by the stream of requests, once for this id; `asked` is what must be the same then.

        Answers RequestConflict when the id was used for something else.
        """
        return self._step(call_id, asked, self._keys.requests, entry)

    def task(self, call_id: str, asked: bytes, entry: TaskStreamEntry) -> Step[Entered]:
        """The same, by the stream of tasks."""
        return self._step(call_id, asked, self._keys.tasks, entry)

    async def answer(self, call_id: str) -> bytes:
        """The answer as JSON; empty while there is none. Raises StoreUnavailable."""
        found: bytes | None = await self._connection.command("HGET", self._keys.call(call_id), "answer")
        return found or b""

    def _step(
        self, call_id: str, asked: bytes, stream: str, entry: RequestStreamEntry | TaskStreamEntry
    ) -> Step[Entered]:
        keys = [self._keys.call(call_id), stream]
        args = [hashlib.sha256(asked).hexdigest(), pack_record(entry), CALL_MS]
        return Step(self._enter, keys, args, lambda reply: _entered(reply, call_id))


def _entered(reply: list[Any], call_id: str) -> Entered:
    if reply[0] == b"CONFLICT":
        raise RequestConflict(f"{call_id} was used before, to ask for something else")
    return Entered(reply[0] == b"KNOWN", reply[1] if len(reply) > 1 else b"")
