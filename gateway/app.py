"""The wiring of a gateway: two one-way streets, up and down, that meet only here and at the endpoint."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access import Access
from gateway.answers import error_response, json_response
from gateway.bodies import Health, Refusal
from gateway.desk import Desk
from gateway.documents import Documents
from gateway.door import Door
from gateway.drain import drain, give_notice
from gateway.endpoint import Endpoint
from gateway.errands import Errands
from gateway.extensions import Extensions
from gateway.http import SOCKET_PATH, Rest
from gateway.hub import Hub
from gateway.metrics import Counters, Exposition, GatewayCollector, Gauges
from gateway.newsagent import Newsagent
from gateway.peer import Peer
from gateway.proxies import BehindProxies, networks_of
from gateway.relay import Relay
from gateway.uplink import Uplink
from gateway.watch import Watch
from rpn.errors import Draining, StoreUnavailable
from rpn.exposure import exposed
from rpn.replica import Change, Replica
from rpn.service import Job, after
from rpn.settings import GatewaySettings
from rpn.store.connection import Connection
from rpn.store.follower import Follower
from rpn.store.format import Format
from rpn.store.keys import Keys
from rpn.store.news import NewsChannel
from rpn.store.pool import InboxItem, PoolStore
from rpn.store.rates import Rates
from rpn.store.requests import Requests
from rpn.store.sweep import Sweeper
from rpn.store.tasks import Tasks

log = logging.getLogger(__name__)


class Gateway:
    """Everything one gateway process holds; `asgi` serves it, `jobs` keep it alive."""

    def __init__(self, settings: GatewaySettings, connection: Connection) -> None:
        keys = Keys(settings.pool)
        self._settings = settings
        self._format = Format(connection, keys)
        self._counters = counters = Counters()
        self._replica = Replica()
        self._store = PoolStore(connection, keys)
        self._hub = Hub(self._replica, counters)
        self._follower = Follower(connection, keys, self._replica, self._on_changes)
        self._uplink = Uplink(
            self._store, counters, lease_s=settings.gateway_lease_s, now_ms=self._follower.now_ms
        )
        self._errands = Errands(connection, counters)
        self._relay = Relay(connection, keys, self._hub, self._uplink, self._errands)
        self._access = Access(
            settings, connection, keys, self._hub, self._replica, counters, now_ms=self._follower.now_ms
        )
        tasks = Tasks(connection, keys)
        self._desk = Desk(
            settings,
            self._hub,
            self._uplink,
            self._errands,
            self._relay,
            self._access.registrar,
            Requests(connection, keys),
            tasks,
        )
        self._uplink.on_joined = self._on_joined
        self._uplink.on_resync = self._on_resync
        self._watch = Watch(settings, self._hub, self._uplink)
        self._newsagent = Newsagent(NewsChannel(connection, keys), self._hub)
        self._sweeper = Sweeper(connection, keys, settings)
        self._wire_rest(settings, connection, keys)

    def _wire_rest(self, settings: GatewaySettings, connection: Connection, keys: Keys) -> None:
        """What answers requests, and the door in front of everything."""
        rates, counters = Rates(connection, keys), self._counters
        self._rest = Rest(
            settings,
            self._replica,
            self._follower,
            rates,
            counters,
            self._access.auditor,
            Exposition(GatewayCollector(counters, self._gauges)),
        )
        self._extensions = Extensions(settings, connection, keys)
        self._extensions.add_blobs(rates, self._follower, counters)
        self._call_jobs = self._extensions.add_calls(
            self._rest.guard,
            self._access.names,
            self._errands,
            self._relay,
            self._uplink,
            self._replica,
            self._follower,
        )
        self._system_jobs = self._extensions.add_system(
            self._rest.guard, counters, self._gauges, self._uplink, self._replica, self._follower
        )
        self._door = Door(
            self._routes(),
            self._access.gatekeeper,
            allowed_hosts=settings.allowed_hosts,
            counters=counters,
        )
        self.asgi: ASGIApp = BehindProxies(self._door, networks_of(settings.trusted_proxies))

    def jobs(self) -> list[Job]:
        """Every duty of the process but serving; the store's wait until its data are known to be ours."""
        of_the_store = [
            self._follower.run,
            after(self._sweeper.swept, self._uplink.run),
            self._errands.run,
            self._relay.read_mailbox,
            self._relay.settle_receipts,
            self._newsagent.run,
            *self._call_jobs,
            *self._system_jobs,
            *self._access.jobs(),
            self._sweeper.run,
        ]
        return [self._watch.run, *(after(self._format.understood, job) for job in of_the_store)]

    async def drain(self) -> None:
        """Close everybody, in good order."""
        await give_notice(self._door, self._settings.drain_notice_s)
        await drain(self._door, self._hub, self._uplink, self._store, drain_s=self._settings.drain_s)

    def _routes(self) -> ASGIApp:
        app = Starlette(
            routes=[
                Route("/readyz", self._readyz, methods=["GET"]),
                *self._rest.routes(),
                *self._extensions.routes(),
                *self._access.routes(self._rest.guard),
                *Documents(self._settings, lambda: self.routes).routes(),
            ],
            exception_handlers={HTTPException: self._rest.on_http_error, Exception: self._rest.on_error},
        )
        self.routes = app.routes
        app.router.redirect_slashes = False  # what is not there is not there
        endpoint = Endpoint(
            self._settings, self._desk, self._hub, self._uplink, self._counters, self._access.auditor
        )

        async def route(scope: Scope, receive: Receive, send: Send) -> None:
            """A WebSocket takes the short way: a herd of them would wait in line for Starlette's layers."""
            to_socket = scope["type"] == "websocket" and scope["path"] == SOCKET_PATH
            await (endpoint if to_socket else app)(scope, receive, send)

        return route

    async def _readyz(self, request: Request) -> Response:
        """200 once the pool is known; 404 while we go away, so that balancers let us drain."""
        if self._door.leaving:
            return json_response(Refusal(error="this gateway is going away", code=Draining.code), status=404)
        if not (self._follower.loaded and self._access.ready):
            return error_response(StoreUnavailable("the pool's server has not answered yet"))
        return json_response(Health(status="ready"))

    def _on_changes(self, changes: list[Change]) -> None:
        self._relay.on_changes(changes)

    def _on_joined(self, peer: Peer, inbox: list[InboxItem]) -> None:
        self._desk.joined(peer)
        self._relay.on_inbox(peer, inbox)

    def _on_resync(self) -> None:
        self._counters.resyncs += 1
        for peer in self._hub.peers.values():
            if peer.joined and not peer.gone:
                self._uplink.rejoin(peer)

    def _gauges(self) -> Gauges:
        return Gauges(
            devices_connected=len(self._hub.peers),
            observers_connected=len(self._hub.observers),
            connections=len(self._hub.connected),
            lagging=sum(peer.lagging for peer in self._hub.connected),
            pool_devices=len(self._replica.devices),
            store_up=self._uplink.available,
            follower_resyncs=self._follower.resyncs,
            events=self._follower.events,
            bus_s=self._follower.delay_ms / 1000,
            insecure_open=exposed(self._settings),
        )
