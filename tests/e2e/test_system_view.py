"""`GET /api/system`: how each part of the pool is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.e2e.conftest import Opened
from tests.support.gateways import RunningGateway
from tests.support.patience import PATIENCE_S


async def system_of(gateway: RunningGateway) -> dict[str, Any]:
    found: dict[str, Any] = (await gateway.get("/api/system")).json()
    return found


async def test_every_gateway_is_listed_with_its_devices(pool_of: Opened) -> None:
    async with pool_of(2) as pool:
        await pool.talk(0, "a")
        await pool.talk(1, "b")
        devices: list[int] = []
        async with asyncio.timeout(PATIENCE_S):
            while devices != [1, 1]:
                found = await system_of(pool.gateways[0])
                devices = [each["devices"] for each in found["gateways"]]
                await asyncio.sleep(0.02)
        assert all(each["leaseMs"] > 0 for each in found["gateways"])
        assert found["leader"] is None  # no scheduler here
        assert found["queue"] == {"openTasks": 0, "waiting": 0}


@pytest.mark.slow
async def test_a_gateways_vitals_are_told_to_all(pool_of: Opened) -> None:
    async with pool_of(2, rest_rate_limit=0) as pool:
        told: list[Any] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(told) < 2:
                found = await system_of(pool.gateways[1])
                told = [each["vitals"] for each in found["gateways"] if each["vitals"]]
                await asyncio.sleep(0.05)
        assert {"devices", "observers", "receivedPerS", "busMs"} <= set(told[0])
        told_since = (await pool.gateways[1].get("/api/history")).json()
        assert told_since["pool"][-1]["cpuTotal"] == 0
