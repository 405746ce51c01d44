"""Keep a mirror of the pool current: subscribe, load, apply, and heal every gap.

Pub/sub may lose anything without a word. So a mirror that misses something says so (Gap), a
subscription that has fallen silent is found out by comparing revisions, and either way we
subscribe anew, load a snapshot and go on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

from rpn.errors import StoreUnavailable
from rpn.events import decode_event
from rpn.replica import Change, Gap, Replica
from rpn.store.connection import Connection, Dedicated
from rpn.store.keys import Keys
from rpn.store.pool import PoolStore

log = logging.getLogger(__name__)

COMPARE_EVERY_S = 2.0
"""how often the mirror's revision is compared with the store's"""
BEHIND_LIMIT_S = 1.0
"""how long the mirror may be behind a revision that the store had"""
SUBSCRIBE_LIMIT_S = 2.0
RETRY_LIMIT_S = 1.0
MESSAGES = (b"message", b"smessage")
"""a Cluster that gives the pool's slot away sends something else"""


class Follower:
    """Feeds one mirror; `on_changes` hears of every change, in order, in the same step."""

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        replica: Replica,
        on_changes: Callable[[list[Change]], None],
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._replica = replica
        self._on_changes = on_changes
        self._pool = PoolStore(connection, keys)
        self._loaded = asyncio.Event()
        self._skew_ms = 0.0
        self.resyncs = 0
        """snapshots loaded after the first"""
        self.events = 0
        self.delay_ms = 0
        """from the publishing of all these events to our hearing of them, as far as clocks can tell"""
        self.current = False
        """the mirror follows the store; False while the store is away"""

    async def ready(self) -> None:
        """Wait for the first snapshot."""
        await self._loaded.wait()

    @property
    def loaded(self) -> bool:
        """The mirror has shown the pool at least once."""
        return self._loaded.is_set()

    def now_ms(self) -> int:
        """The store's clock, as we last saw it, carried on by ours."""
        return int(time.time() * 1000 + self._skew_ms)

    async def run(self) -> None:
        """Follow for ever."""
        pause_s = 0.0
        while True:
            try:
                await self._follow()
            except StoreUnavailable as error:
                if self.current or not pause_s:
                    log.warning("not following the pool: %s", error)
                pause_s = min(pause_s * 2 or 0.05, RETRY_LIMIT_S)
            except Gap as gap:
                log.info("missed events (%s): loading a snapshot", gap)
                pause_s = 0.0
            self.current = False
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))

    async def _follow(self) -> None:
        """One subscription, until it breaks."""
        async with self._connection.dedicated() as link:
            await link.command(self._connection.subscribe, self._keys.events, limit_s=SUBSCRIBE_LIMIT_S)
            snapshot = await self._pool.snapshot()
            self._skew_ms = snapshot.now_ms - time.time() * 1000
            self.resyncs += self._loaded.is_set()
            self._on_changes(self._replica.load(snapshot))
            self._loaded.set()
            self.current = True
            await _first_failure(self._apply_events(link), self._compare())

    async def _apply_events(self, link: Dedicated) -> None:
        while True:
            message = await link.receive(limit_s=None)
            if message[0] not in MESSAGES:
                raise Gap("the server ended the subscription")
            self._take(message[2])

    def _take(self, data: bytes) -> None:
        event = decode_event(data)
        self.events += 1
        self.delay_ms += max(0, self.now_ms() - event.now_ms)
        changes = self._replica.apply(event)
        if changes:
            self._on_changes(changes)

    async def _compare(self) -> None:
        """Raise Gap once the mirror stays behind the store: the subscription is dead."""
        while True:
            await asyncio.sleep(COMPARE_EVERY_S)
            found = await self._connection.command("HMGET", self._keys.meta, "rev", "tip")
            rev, tip = int(found[0] or 0), (found[1] or b"").decode()
            if tip != self._replica.tip:
                await asyncio.sleep(BEHIND_LIMIT_S)
                if self._replica.rev < rev or (self._replica.rev == rev and self._replica.tip != tip):
                    raise Gap(f"at {self._replica.rev}, the store was at {rev} a while ago")
                if self._replica.rev > rev:
                    await self._check_reset(rev)

    async def _check_reset(self, rev: int) -> None:
        """Raise Gap when the store itself went back, which no event tells."""
        found = await self._connection.command("HGET", self._keys.meta, "rev")
        if int(found or 0) < self._replica.rev and int(found or 0) <= rev:
            raise Gap(f"at {self._replica.rev}, the store is back at {int(found or 0)}")


async def _first_failure(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run endless jobs together until one fails, and fail as it did."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
