"""What is addressed to a gateway's devices: its mailbox, and the inboxes behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from rpn.codec import unpack
from rpn.store.connection import Connection
from rpn.store.keys import Keys

WAIT_MS = 1000
ANSWER_LIMIT_S = 2.0
READ_COUNT = 100
REMOVE_COUNT = 200
"""entries that are read before they are removed together: each removal costs the server a write to disk"""


class Letter(NamedTuple):
    """A message for one session of one device."""

    device_id: str
    session: str
    inbox_id: str
    """under which it waits in the device's inbox too; empty if it does not"""
    frame: bytes


class Mailbox:
    """The mailbox of one gateway; what was read is removed, soon."""

    def __init__(self, connection: Connection, keys: Keys, gateway: str) -> None:
        self._connection = connection
        self._key = keys.mailbox(gateway)
        self._read = b"0"
        """up to where we have read; a connection that breaks takes nothing of it away"""

    async def letters(self) -> AsyncIterator[list[Letter]]:
        """What comes in, in order, for ever. Raises StoreUnavailable."""
        async with self._connection.dedicated() as link:
            unremoved = 0
            while True:
                reply = await link.command(
                    *("XREAD", "COUNT", READ_COUNT, "BLOCK", WAIT_MS, "STREAMS", self._key, self._read),
                    limit_s=WAIT_MS / 1000 + ANSWER_LIMIT_S,
                )
                entries = reply[0][1] if reply else []
                if entries:
                    self._read, unremoved = entries[-1][0], unremoved + len(entries)
                    yield [_letter(packed) for _, fields in entries for packed in fields[1::2]]
                    await asyncio.sleep(0)  # they are on their way before we ask the server for more
                if unremoved and (not entries or unremoved >= REMOVE_COUNT):
                    await link.command(
                        "XTRIM", self._key, "MINID", _after(self._read), limit_s=ANSWER_LIMIT_S
                    )
                    unremoved = 0


class Inboxes:
    """What devices have still to receive."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def received(self, items: list[tuple[str, str]]) -> None:
        """These (device, inbox id) have arrived: forget them. Raises StoreUnavailable."""
        by_device: dict[str, list[str]] = {}
        for device_id, item_id in items:
            by_device.setdefault(device_id, []).append(item_id)
        await self._connection.run(
            [("HDEL", self._keys.inbox(device_id), *ids) for device_id, ids in by_device.items()]
        )


def _after(entry_id: bytes) -> bytes:
    """The smallest id that follows."""
    time_ms, _, number = entry_id.partition(b"-")
    return b"%b-%d" % (time_ms, int(number) + 1)


def _letter(packed: bytes) -> Letter:
    device_id, session, inbox_id, frame = unpack(packed)[:4]
    return Letter(device_id.decode(), session.decode(), inbox_id.decode(), frame)
