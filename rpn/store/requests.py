"""Hand resource requests and releases to the scheduler."""

from __future__ import annotations

from rpn.codec import pack_record
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.records import RequestStreamEntry
from rpn.store.scripts import Script
from rpn.store.steps import Step

MARK_MS = 60_000
"""how long an entry is remembered, so that sending it again enters it once"""


class Requests:
    """The stream of requests of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._keys = keys
        self._enter = Script(connection, "request_enter")
        self._enter_keys = (keys.sessions, keys.requests)

    def enter(self, entry: RequestStreamEntry, *, presence: str, mark: str) -> Step[bool]:
        """Enter it exactly once, however often this step is run, with the same others each time.

        False when a newer session speaks for its device. `mark` names this step alone; what goes
        together is remembered under the first one's.
        """
        args = [entry.device_id, presence, pack_record(entry), MARK_MS]
        return Step(self._enter, [self._keys.request(mark)], args, bool, self._enter_keys, marks_all=True)
