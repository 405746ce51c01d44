"""A pool goes from an earlier version to this one under load, process by process, and nobody notices."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rpn.store.embedded import EmbeddedServer
from tests.deploy.earlier import install_earlier
from tests.deploy.engine import connections
from tests.deploy.load import Load
from tests.deploy.rolling import Rolling, rolling
from tests.support.amnesty import end_amnesty
from tests.support.cluster import device_ids

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.soak]

DEVICES = 200
TASKS_PER_S = 100
GAP_LIMIT_S = 6.0
PATIENCE_S = 30
SETTINGS = {"RPN_DEVICE_LIMIT": DEVICES, "RPN_REST_RATE_LIMIT": 0}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python that runs the earlier version."""
    return install_earlier(tmp_path_factory.mktemp("earlier"))


async def test_a_rolling_upgrade_under_load_is_noticed_by_nobody(earlier: Path, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "store") as server, rolling(tmp_path, server.url, **SETTINGS) as pool:
        end_amnesty(server.url, "default")
        await asyncio.to_thread(pool.start, earlier)
        async with Load(pool.urls, devices=DEVICES, rate=TASKS_PER_S) as load:
            await roll(pool, load)
            await load.settle(within_s=PATIENCE_S)
            assert device_ids(pool.serving[0]) == load.ids
    print(f"{load.submitted} tasks; the longest gap {load.longest_gap_s:.1f} s")
    assert load.complaints == []
    assert load.left == set()
    assert load.longest_gap_s < GAP_LIMIT_S


async def roll(pool: Rolling, load: Load) -> None:
    """Replace everything, in an order in which each version's gateways work with the other's scheduler."""
    steps = (
        pool.replace_a_gateway,  # then gateways of both versions work with the earlier scheduler
        pool.replace_the_schedulers,  # then with the new one
        pool.replace_a_gateway,
    )
    await all_served(pool, load)
    for step in steps:
        await asyncio.to_thread(step)
        await all_served(pool, load)


async def all_served(pool: Rolling, load: Load) -> None:
    await load.serves_everyone(within_s=PATIENCE_S)
    assert all(connections(url) for url in pool.serving)
