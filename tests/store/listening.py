"""Ears on a pool's events: the events themselves, and a follower that keeps a mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rpn.events import Event, decode_event
from rpn.replica import Change, Replica, Snapshot, What
from rpn.store.connection import Connection, Dedicated
from rpn.store.follower import Follower
from rpn.store.keys import Keys
from tests.support.patience import PATIENCE_S


class Listener:
    """Hears every event of one pool."""

    def __init__(self, link: Dedicated) -> None:
        self._link = link

    async def heard(self) -> list[Event]:
        """All events since the last call: whatever was published before our PING comes before its answer."""
        await self._link.send("PING")
        events = []
        while (message := await self._link.receive(limit_s=PATIENCE_S))[0] != b"pong":
            events.append(decode_event(message[2]))
        return events


@asynccontextmanager
async def listening(connection: Connection, keys: Keys) -> AsyncIterator[Listener]:
    async with connection.dedicated() as link:
        await link.command(connection.subscribe, keys.events, limit_s=PATIENCE_S)
        yield Listener(link)


class Watched(Replica):
    """A mirror that tells when something was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.touched = asyncio.Event()

    def apply(self, event: Event) -> list[Change]:
        self.touched.set()
        return super().apply(event)

    def load(self, snapshot: Snapshot) -> list[Change]:
        self.touched.set()
        return super().load(snapshot)


class Following:
    """A follower at work, its mirror, and what it has told so far."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self.replica = Watched()
        self.changes: list[Change] = []
        self.follower = Follower(connection, keys, self.replica, self.changes.extend)

    @property
    def told(self) -> list[tuple[What, str]]:
        return [(change.what, change.device.id) for change in self.changes]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for the mirror to be so; fails when that takes too long."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self.replica.touched.clear()
                await self.replica.touched.wait()

    async def until_there(self, *device_ids: str) -> None:
        """Wait until exactly these devices are in the mirror."""
        await self.until(lambda: self.replica.devices.keys() == set(device_ids))


@asynccontextmanager
async def following(connection: Connection, keys: Keys) -> AsyncIterator[Following]:
    """A follower that has loaded its first snapshot."""
    followed = Following(connection, keys)
    task = asyncio.create_task(followed.follower.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await followed.follower.ready()
        yield followed
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
