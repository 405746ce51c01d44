"""What is addressed to a gateway's devices: its mailbox, and the inboxes behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from rpn.codec import unpack
from rpn.store.connection import Connection
from rpn.store.keys import Keys

WAIT_MS = 5000
ANSWER_LIMIT_S = 2.0
READ_COUNT = 100


class Letter(NamedTuple):
    """A message for one session of one device."""

    device_id: str
    session: str
    inbox_id: str
    """under which it waits in the device's inbox too; empty if it does not"""
    frame: bytes


class Mailbox:
    """The mailbox of one gateway; what was read is removed."""

    def __init__(self, connection: Connection, keys: Keys, gateway: str) -> None:
        self._connection = connection
        self._key = keys.mailbox(gateway)

    async def letters(self) -> AsyncIterator[list[Letter]]:
        """What comes in, in order, for ever. Raises StoreUnavailable."""
        async with self._connection.dedicated() as link:
            read: list[bytes] = []
            while True:
                if read:
                    await link.command("XDEL", self._key, *read, limit_s=ANSWER_LIMIT_S)
                reply = await link.command(
                    *("XREAD", "COUNT", READ_COUNT, "BLOCK", WAIT_MS, "STREAMS", self._key, "0"),
                    limit_s=WAIT_MS / 1000 + ANSWER_LIMIT_S,
                )
                entries = reply[0][1] if reply else []
                read = [entry_id for entry_id, _ in entries]
                if entries:
                    yield [_letter(packed) for _, fields in entries for packed in fields[1::2]]


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
        await self._connection.commands(
            [("HDEL", self._keys.inbox(device_id), *ids) for device_id, ids in by_device.items()]
        )


def _letter(packed: bytes) -> Letter:
    device_id, session, inbox_id, frame = unpack(packed)
    return Letter(device_id.decode(), session.decode(), inbox_id.decode(), frame)
