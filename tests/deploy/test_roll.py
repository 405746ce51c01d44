"""deploy/roll replaces every gateway and scheduler under load, and nobody notices."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.deploy.conftest import Started
from tests.deploy.crowd import Crowd
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


async def test_a_roll_under_load_fails_no_task_and_shows_no_device_leaving(cluster: Started) -> None:
    await asyncio.to_thread(make_another_version, cluster)
    before = running(cluster)
    async with Crowd(cluster.url, size=30) as crowd:
        rolling = asyncio.create_task(asyncio.to_thread(cluster.run, "deploy/roll"))
        while not rolling.done():
            await crowd.submit(rate=20, seconds=1)
        await rolling
        results = await crowd.results(within_s=15)
        assert results == list(range(len(results)))
        assert crowd.ids <= device_ids(cluster.url)
        assert not crowd.left
    after = running(cluster)
    assert len(after) == len(before)
    assert not after & before
