"""Wires one scheduler process: mirror, sweeper, leader."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from rpn.errors import BadSettings, StoreFormatError
from rpn.lookout import Answer, Lookout
from rpn.replica import Change, Replica
from rpn.service import after, cause, serve
from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from rpn.store.follower import Follower
from rpn.store.format import Format
from rpn.store.keys import Keys
from rpn.store.sweep import Sweeper
from scheduler import vitals
from scheduler.leader import Leader
from scheduler.metrics import CONTENT_TYPE, Gauges, exposition

log = logging.getLogger(__name__)


class Scheduler:
    """A scheduler of one pool; any number may run, one of them leads."""

    def __init__(self, connection: Connection, settings: SchedulerSettings) -> None:
        keys, replica = Keys(settings.pool), Replica()
        self._format = Format(connection, keys)
        self._connection = connection
        self._keys = keys
        self._settings = settings
        self._replica = replica
        pages = {"/metrics": self._metrics, "/livez": self._livez, "/readyz": self._readyz}
        self.lookout = Lookout(pages)
        self._follower = Follower(connection, keys, replica, self._heard)
        self._sweeper = Sweeper(connection, keys, settings)
        self.leader = Leader(connection, keys, settings, replica, self._follower.now_ms)

    async def run(self, stop: asyncio.Event) -> None:
        """Schedule until `stop` is set, then hand over."""
        of_the_store = (self._follower.run, self._sweeper.run, self._lead)
        jobs = [after(self._format.understood, job) for job in of_the_store]
        if self._settings.metrics_port:
            host, port = self._settings.metrics_host, self._settings.metrics_port
            jobs.append(partial(self.lookout.serve, host, port, setting="RPN_METRICS_PORT"))
        try:
            await serve(*jobs, stop=stop, drain=self.leader.step_down)
        except BaseExceptionGroup as failure:
            raise cause(failure, BadSettings) or cause(failure, StoreFormatError) or failure from None

    async def _lead(self) -> None:
        await self._follower.ready()
        await self.leader.run()

    async def _livez(self) -> Answer:
        return Answer(200, b'{"status":"alive"}')

    async def _readyz(self) -> Answer:
        """200 once the pool is known: then it leads, or can at any moment."""
        if not self._follower.loaded:
            return Answer(503, b'{"error":"the pool is not known yet","code":"STORE_UNAVAILABLE"}')
        return Answer(200, b'{"status":"leading"}' if self.leader.leads else b'{"status":"standing by"}')

    async def _metrics(self) -> Answer:
        now = Gauges(
            leads=self.leader.leads,
            standing=self.leader.standing(),
            pool_devices=len(self._replica.devices),
            mirror_resyncs=self._follower.resyncs,
            store=await vitals.look(self._connection, self._keys),
        )
        return Answer(200, exposition(self.leader.counts, now), CONTENT_TYPE)

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
