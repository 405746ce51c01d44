"""The REST side: API.md's four routes, the health routes, metrics and the page."""

from __future__ import annotations

import time

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Mount, Route

from gateway.answers import error_response, json_response
from gateway.auditor import Auditor
from gateway.bearers import bearer_of
from gateway.bodies import DeviceList, Health, Resourceful, Stats, Status
from gateway.guard import Guard, Handler
from gateway.metrics import Counters, Exposition
from gateway.page import page, qr_code
from gateway.roles import Action
from gateway.toll import Toll
from gateway.voices import discreet
from rpn.errors import MethodNotAllowed, NotFound, UpgradeRequired
from rpn.replica import Replica
from rpn.settings import GatewaySettings
from rpn.store.follower import Follower
from rpn.store.rates import Rates

SOCKET_PATH = "/ws"
"""where WebSockets come in: `gateway.app` takes them before they get here"""


class Rest:
    """Answers requests from the mirror."""

    def __init__(
        self,
        settings: GatewaySettings,
        replica: Replica,
        follower: Follower,
        rates: Rates,
        counters: Counters,
        auditor: Auditor,
        exposition: Exposition,
    ) -> None:
        self._replica = replica
        self.guard = Guard(Toll(settings.rest_rate_limit, rates, follower), follower, counters, auditor)
        """what stands in front of every route that counts"""
        self._exposition = exposition
        self._started_s = time.monotonic()

    def routes(self) -> list[Route | Mount]:
        return [
            Route("/", _or_page(self.guard(self._root)), methods=["GET"]),
            Route("/api/devices", self.guard(self._devices), methods=["GET"]),
            Route("/api/resources", self.guard(self._resources), methods=["GET"]),
            Route("/api/stats", self.guard(self._stats), methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/livez", self._livez, methods=["GET"]),
            Route("/ui", _to_page, methods=["GET"], include_in_schema=False),
            Route("/ui/qr.svg", self.guard(qr_code), methods=["POST"]),
            page(),
        ]

    async def on_http_error(self, request: Request, error: Exception) -> Response:
        """What the router itself refuses."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        methods = _methods(request)
        if status == 405 or (methods and request.method not in methods):
            refused = MethodNotAllowed(f"{request.method} is not for {request.url.path}")
            return error_response(refused, headers={"Allow": ", ".join(methods)})
        if request.scope["path"] == SOCKET_PATH:
            refusal = UpgradeRequired("connect here with a WebSocket")
            return error_response(refusal, headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        return error_response(NotFound(f"there is nothing at {request.url.path}"))

    async def on_error(self, request: Request, error: Exception) -> Response:
        """Everything else that was raised: ours to log, not the client's to read."""
        return error_response(error)

    # --- API.md -------------------------------------------------------------------------------

    async def _root(self, request: Request) -> Response:
        return json_response(Status(devices=len(self._replica.devices)), headers={"Vary": "Accept"})

    async def _devices(self, request: Request) -> Response:
        if Action.SEE_ADDRESSES in bearer_of(request.scope).may:
            return json_response(b'{"devices":' + self._replica.devices_json + b"}")
        return json_response(DeviceList(devices=[discreet(each) for each in self._replica.devices.values()]))

    async def _resources(self, request: Request) -> Response:
        return json_response(Resourceful(pool=self._replica.totals))

    async def _stats(self, request: Request) -> Response:
        stats = Stats(
            devices=len(self._replica.devices),
            resources=self._replica.totals,
            uptime=int(time.monotonic() - self._started_s),
        )
        return json_response(stats)

    # --- operators ----------------------------------------------------------------------------

    async def _metrics(self, request: Request) -> Response:
        return Response(self._exposition.text(), headers={"Content-Type": self._exposition.content_type})

    async def _livez(self, request: Request) -> Response:
        return json_response(Health(status="alive"))


def _methods(request: Request) -> list[str]:
    """All methods of a request's path, which several routes may share."""
    whole = {**request.scope, "root_path": ""}  # a Mount has taken its part off the path
    there = [route for route in request.app.routes if route.matches(whole)[0] is not Match.NONE]
    routes = [route for route in there if isinstance(route, Route)]
    methods = {method for route in routes for method in route.methods or ()}
    return sorted(methods or ({"GET", "HEAD"} if there else ()))


async def _to_page(request: Request) -> Response:
    """Where people leave out the last slash."""
    return RedirectResponse("ui/", status_code=302)


def _or_page(handler: Handler) -> Handler:
    """A browser is sent to the page, and not counted."""

    async def answered(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("ui/", status_code=302, headers={"Vary": "Accept"})
        return await handler(request)

    return answered
