"""A gateway without sockets: devices that are in the pool, their requests in bulk, every answer counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from rpn.codec import decode_from_server
from rpn.errors import StoreUnavailable
from rpn.events import Identity, Kind, Operation, pack_identity
from rpn.messages import ResourceAllocation
from rpn.model import Requirements, Resources
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.mailbox import Letter, Mailbox
from rpn.store.pool import WHOEVER, Guarded, PoolStore, new_tip
from rpn.store.records import RequestEntry
from rpn.store.requests import Requests
from rpn.store.steps import run_steps
from tests.support.scheduling import packed

GATEWAY = "front"
LEASE_MS = 600_000


class Storefront:
    """Everybody it lets in stays for as long as it stands."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = Connection(url)
        self.keys = Keys("default")
        self.answers: Counter[str] = Counter()
        """allocation -> letters that answered it"""
        self.fulfilled: set[str] = set()
        self._requests = Requests(self.connection, self.keys)
        self._reading = asyncio.create_task(self._read())

    async def let_in(self, devices: dict[str, Resources | None]) -> None:
        """They join, and report what they have."""
        batch = [Guarded(_join(name, has), WHOEVER) for name, has in devices.items()]
        await PoolStore(self.connection, self.keys).apply(GATEWAY, 1, batch, lease_ms=LEASE_MS, tip=new_tip())

    async def ask(self, asked: dict[str, tuple[str, Requirements, int]]) -> None:
        """Allocation id -> (requester, requirements, ttl in ms or 0), all in one round trip."""
        entries = [
            RequestEntry(allocation_id, name, _presence(name), need, ttl_ms=ttl_ms)
            for allocation_id, (name, need, ttl_ms) in asked.items()
        ]
        steps = [
            self._requests.enter(each, presence=each.presence, mark=each.allocation_id) for each in entries
        ]
        while True:  # a step whose outcome is unknown is run again, as gateways do
            with suppress(StoreUnavailable):
                answers = await run_steps(self.connection, steps)
                assert answers == [True] * len(asked), answers
                return

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self.connection.close()

    async def _read(self) -> None:
        mailbox = Mailbox(self.connection, self.keys, GATEWAY)
        while True:
            with suppress(StoreUnavailable):
                async for letters in mailbox.letters():
                    for letter in letters:
                        self._take(letter)

    def _take(self, letter: Letter) -> None:
        message = decode_from_server(letter.frame)
        assert isinstance(message, ResourceAllocation), message
        self.answers[message.allocation.id] += 1
        if message.allocation.fulfilled:
            self.fulfilled.add(message.allocation.id)


def _join(name: str, has: Resources | None) -> Operation:
    identity = pack_identity(Identity(name, "linux", "127.0.0.1"))
    report = b"" if has is None else packed(name, has)
    return Operation(Kind.JOIN, name, f"s-{name}", GATEWAY, identity, report)


def _presence(name: str) -> str:
    return f"s-{name} {GATEWAY}"
