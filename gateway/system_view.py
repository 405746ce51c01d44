"""`GET /api/system` and `/api/history`: how the parts of the pool are, and how the last minutes were."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.answers import json_response
from gateway.bodies import GatewayStanding, Leader, QueueLength, SystemReport
from gateway.guard import Guard
from gateway.vitals import Pulse
from rpn.errors import NotFound
from rpn.replica import Replica
from rpn.store.vitals import Standing, VitalsStore


class SystemView:
    """Answers from the mirror and from what the pool's parts tell of themselves."""

    def __init__(self, pool: str, guard: Guard, replica: Replica, pulse: Pulse, store: VitalsStore) -> None:
        self._pool = pool
        self._guard = guard
        self._replica = replica
        self._pulse = pulse
        self._store = store

    def routes(self) -> list[Route]:
        return [
            Route("/api/system", self._guard(self._system), methods=["GET"]),
            Route("/api/history", self._guard(self._history), methods=["GET"]),
            Route("/api/history/{id:path}", self._guard(self._device), methods=["GET"]),
        ]

    async def _system(self, request: Request) -> Response:
        return json_response(self._told(await self._store.standing()))

    async def _history(self, request: Request) -> Response:
        return json_response(self._pulse.history.overview())

    async def _device(self, request: Request) -> Response:
        device_id = request.path_params["id"]
        if device_id not in self._replica.devices:
            raise NotFound(f"there is no device {device_id}")
        return json_response(self._pulse.history.device(device_id))

    def _told(self, standing: Standing) -> SystemReport:
        known = sorted({*standing.gateways, *standing.vitals})
        leads = Leader(fence=standing.leader, lease_ms=standing.leader_lease_ms)
        return SystemReport(
            pool=self._pool,
            gateways=[self._gateway(each, standing) for each in known],
            leader=leads if standing.leader else None,
            queue=QueueLength(open_tasks=standing.open_tasks, waiting=standing.waiting),
        )

    def _gateway(self, gateway: str, standing: Standing) -> GatewayStanding:
        return GatewayStanding(
            id=gateway,
            lease_ms=standing.gateways.get(gateway),
            devices=sum(device.gateway == gateway for device in self._replica.devices.values()),
            vitals=standing.vitals.get(gateway),
        )
