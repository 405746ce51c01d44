"""`/api/pool`, `/api/devices/ID`, `/api/usage`: how much there is, how much is given away, and to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.answers import json_response
from gateway.bearers import Bearer, bearer_of
from gateway.bodies import (
    DeviceCount,
    DeviceUsage,
    DeviceView,
    Pool,
    PoolView,
    SubmitterUsage,
    TaskCount,
    UsageReport,
)
from gateway.callers import Callers
from gateway.guard import Guard
from gateway.queries import OneMonth, query_of
from gateway.roles import Action
from gateway.voices import discreet
from rpn.codec import unpack_record
from rpn.errors import NotFound
from rpn.model import DeviceLoad, PoolStanding, Sum, Usage
from rpn.replica import Mirrored, Replica
from rpn.store.calls import Calls, Entered
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.records import Call, HoldersEntry
from rpn.store.steps import Step
from rpn.store.usage import Accounts, months_until


class PoolRoutes:
    """What there is comes from the mirror, what is given away from the scheduler."""

    def __init__(
        self,
        guard: Guard,
        replica: Replica,
        callers: Callers,
        connection: Connection,
        keys: Keys,
        now_ms: Callable[[], int],
    ) -> None:
        self._guard = guard
        self._replica = replica
        self._callers = callers
        self._connection = connection
        self._keys = keys
        self._now_ms = now_ms
        self._calls = Calls(connection, keys)
        self._accounts = Accounts(connection, keys)

    def routes(self) -> list[Route]:
        return [
            Route("/api/pool", self._guard(self._pool), methods=["GET"]),
            Route("/api/devices/{id:path}", self._guard(self._device), methods=["GET"]),
            Route("/api/usage", self._guard(self._usage), methods=["GET"]),
        ]

    async def _pool(self, request: Request) -> Response:
        found = await self._connection.command("GET", self._keys.standing)
        standing = unpack_record(PoolStanding, found) if found else PoolStanding()
        devices = list(self._replica.devices.values())
        pool = Pool(
            devices=_count(devices),
            total=_total(devices),
            reported=self._replica.totals,
            allocated=standing.allocated,
            free=standing.free,
            allocations=standing.allocations,
            tasks=TaskCount(queued=standing.queued, running=standing.running),
        )
        return json_response(PoolView(pool=pool))

    async def _device(self, request: Request) -> Response:
        device_id = request.path_params["id"]
        device = self._replica.devices.get(device_id)
        if device is None:
            raise NotFound(f"there is no device {device_id}")

        def step(call: Call) -> Step[Entered]:
            return self._calls.request(call.id, b"", HoldersEntry(device_id, call))

        load = msgspec.json.decode(await self._callers.ask(str(uuid4()), step), type=DeviceLoad)
        return json_response(_described(device, load, bearer_of(request.scope)))

    async def _usage(self, request: Request) -> Response:
        month = query_of(OneMonth, request).month
        months = [month] if month else months_until(self._now_ms())
        given, used = await self._accounts.read(months)
        devices = [DeviceUsage(device_id=who, **amounts) for who, amounts in _ranked(given)]
        submitters = [SubmitterUsage(submitter_id=who, **amounts) for who, amounts in _ranked(used)]
        return json_response(UsageReport(months=months, devices=devices, submitters=submitters))


def _described(device: Mirrored, load: DeviceLoad, bearer: Bearer) -> DeviceView:
    identity = device.identity
    return DeviceView(
        device=device.device if Action.SEE_ADDRESSES in bearer.may else discreet(device),
        labels=identity.labels,
        capabilities=identity.capabilities,
        accepts=identity.accepts,
        pool_usage=device.pool_usage,
        load=load,
    )


def _count(devices: list[Mirrored]) -> DeviceCount:
    return DeviceCount(
        total=len(devices),
        online=sum(not device.lost for device in devices),
        by_platform=dict(Counter(device.identity.platform for device in devices)),
    )


def _total(devices: list[Mirrored]) -> Sum:
    """What all devices have, idle or not, in the units of requirements."""
    rows = [device.resources for device in devices]
    return Sum(
        cpu=int(sum(row.cpu_cores for row in rows) * 100),
        memory=int(sum(row.memory_total for row in rows)),
        storage=int(sum(row.storage_total for row in rows)),
        gpus=sum(row.has_gpu for row in rows),
    )


def _ranked(usage: dict[str, Usage]) -> list[tuple[str, dict[str, float]]]:
    """Whoever gave or used most comes first."""
    ranked = sorted(usage.items(), key=lambda each: (-each[1].core_hours, each[0]))
    return [(who, msgspec.structs.asdict(each)) for who, each in ranked]
