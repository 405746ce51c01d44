"""Wires one scheduler process: mirror, sweeper, leader."""

from __future__ import annotations

import asyncio
import logging

from rpn.errors import StoreFormatError
from rpn.replica import Change, Replica
from rpn.service import after, cause, serve
from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from rpn.store.follower import Follower
from rpn.store.format import Format
from rpn.store.keys import Keys
from rpn.store.sweep import Sweeper
from scheduler.leader import Leader

log = logging.getLogger(__name__)


class Scheduler:
    """A scheduler of one pool; any number may run, one of them leads."""

    def __init__(self, connection: Connection, settings: SchedulerSettings) -> None:
        keys, replica = Keys(settings.pool), Replica()
        self._format = Format(connection, keys)
        self._follower = Follower(connection, keys, replica, self._heard)
        self._sweeper = Sweeper(connection, keys, settings)
        self.leader = Leader(connection, keys, settings, replica, self._follower.now_ms)

    async def run(self, stop: asyncio.Event) -> None:
        """Schedule until `stop` is set, then hand over."""
        of_the_store = (self._follower.run, self._sweeper.run, self._lead)
        jobs = [after(self._format.understood, job) for job in of_the_store]
        try:
            await serve(*jobs, stop=stop, drain=self.leader.step_down)
        except BaseExceptionGroup as failure:
            raise cause(failure, StoreFormatError) or failure from None

    async def _lead(self) -> None:
        await self._follower.ready()
        await self.leader.run()

    def _heard(self, changes: list[Change]) -> None:
        self.leader.heard(changes)


async def run(settings: SchedulerSettings, stop: asyncio.Event) -> None:
    """One process, from its connection to its end."""
    connection = Connection(settings.redis_url, pool=settings.pool, durability=settings.durability)
    try:
        log.info("scheduling pool %s", settings.pool)
        await Scheduler(connection, settings).run(stop)
    finally:
        await connection.close()
