"""deploy/roll replaces every gateway and scheduler under load, and nobody notices."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.deploy.conftest import Started
from tests.deploy.load import Load
from tests.deploy.test_upgrade import DEVICES, GAP_LIMIT_S, PATIENCE_S, TASKS_PER_S
from tests.support.cluster import device_ids

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROLLED = ("gateway", "scheduler")


def make_another_version(cluster: Started) -> None:
    """Build images that differ from those that run."""
    words = cluster.folder / "rpn/__init__.py"
    words.write_text(re.sub(r'__version__ = "([^"]+)"', r'__version__ = "\1.post1"', words.read_text()))
    cluster("build", "--quiet", *ROLLED)


def running(cluster: Started) -> set[str]:
    return {container["Id"] for service in ROLLED for container in cluster.containers(service)}


async def test_a_roll_under_load_is_noticed_by_nobody(cluster: Started) -> None:
    await asyncio.to_thread(make_another_version, cluster)
    before = running(cluster)
    async with Load([cluster.url], devices=DEVICES, rate=TASKS_PER_S) as load:
        await load.serves_everyone(within_s=PATIENCE_S)
        await asyncio.to_thread(cluster.run, "deploy/roll")
        await load.serves_everyone(within_s=PATIENCE_S)
        await load.settle(within_s=PATIENCE_S)
        assert load.ids <= device_ids(cluster.url)
    print(f"{load.submitted} tasks; the longest gap {load.longest_gap_s:.1f} s")
    assert load.complaints == []
    assert load.left == set()
    assert load.longest_gap_s < GAP_LIMIT_S
    after = running(cluster)
    assert len(after) == len(before)
    assert not after & before
