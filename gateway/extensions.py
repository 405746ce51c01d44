"""The wiring of the REST routes beside API.md's: blobs, allocations, tasks, the pool, its system."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from gateway.allocations import AllocationRoutes
from gateway.blobs import BlobRoutes
from gateway.callers import Callers
from gateway.errands import Errands
from gateway.guard import Guard
from gateway.metrics import Counters, Gauges
from gateway.names import Names
from gateway.pool import PoolRoutes
from gateway.relay import Relay
from gateway.system_view import SystemView
from gateway.tasks import TaskRoutes
from gateway.toll import Toll
from gateway.uplink import Uplink
from gateway.vitals import Pulse
from rpn.replica import Replica
from rpn.service import Job
from rpn.settings import GatewaySettings
from rpn.store.allocations import AllocationStore
from rpn.store.blobs import Blobs
from rpn.store.calls import Calls
from rpn.store.connection import Connection
from rpn.store.follower import Follower
from rpn.store.keys import Keys
from rpn.store.rates import Rates
from rpn.store.task_index import TaskIndex
from rpn.store.tasks import Tasks
from rpn.store.vitals import VitalsStore


class Extensions:
    """Everything REST that API.md does not have; `callers` wait for the scheduler."""

    def __init__(self, settings: GatewaySettings, connection: Connection, keys: Keys) -> None:
        self._settings = settings
        self._connection = connection
        self._keys = keys
        self._routes: list[Route] = []

    def add_blobs(self, rates: Rates, follower: Follower, counters: Counters) -> None:
        """Blobs count by a limit of their own."""
        settings = self._settings
        blobs = Blobs(
            self._connection, self._keys, ttl_s=settings.blob_ttl_s, quota_mib=settings.blob_quota_mib
        )
        toll = Toll(settings.blob_rate_limit, rates, follower, of="blobs:")
        self._routes += BlobRoutes(blobs, toll, counters, limit_mib=settings.blob_limit_mib).routes()

    def add_calls(
        self,
        guard: Guard,
        names: Names,
        errands: Errands,
        relay: Relay,
        uplink: Uplink,
        replica: Replica,
        follower: Follower,
    ) -> list[Job]:
        """What needs the scheduler's word; answers what must run for that."""
        connection, keys = self._connection, self._keys
        calls = Calls(connection, keys)
        callers = Callers(calls, errands, lambda: uplink.gateway, limit_s=self._settings.call_limit_s)
        relay.on_answer = callers.answered
        store = AllocationStore(connection, keys)
        self._routes += AllocationRoutes(self._settings, guard, names, callers, calls, store).routes()
        tasks = TaskRoutes(
            self._settings,
            guard,
            names,
            errands,
            callers,
            calls,
            Tasks(connection, keys),
            TaskIndex(connection, keys),
        )
        self._routes += tasks.routes()
        self._routes += PoolRoutes(guard, replica, callers, connection, keys, follower.now_ms).routes()
        return [callers.run, tasks.waits.run]

    def add_system(
        self,
        guard: Guard,
        counters: Counters,
        gauges: Callable[[], Gauges],
        uplink: Uplink,
        replica: Replica,
        follower: Follower,
    ) -> list[Job]:
        """How the parts of the pool are; answers what must run for that."""
        vitals = VitalsStore(self._connection, self._keys)
        pulse = Pulse(replica, counters, gauges, vitals, lambda: uplink.gateway, follower.now_ms)
        self._routes += SystemView(self._settings.pool, guard, replica, pulse, vitals).routes()
        return [pulse.run]

    def routes(self) -> list[Route]:
        return self._routes
