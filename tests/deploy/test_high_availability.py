"""The profile `ha`, started as docs/operations.md says: a killed master costs seconds, no accepted task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.crowd import Crowd
from tests.deploy.engine import Compose, engine_runs, seconds_since
from tests.support.cluster import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SERVICE_LIMIT_S = 5.0
RECOVERY_S = 15
MASTER, SENTINEL = "redis", "sentinel-1"


class Available(Compose):
    """A cluster with the settings of deploy/ha.env."""

    def __call__(self, *words: str) -> str:
        return super().__call__("--env-file", "deploy/ha.env", "--profile", "ha", *words)

    def master_address(self) -> str:
        """Where the master is, as a Sentinel sees it."""
        words = ("sentinel", "get-master-addr-by-name", "pool")
        return self("exec", "-T", SENTINEL, "redis-cli", "-p", "26379", *words).split()[0]

    def role(self, service: str) -> str:
        """What a Redis says it is: master or slave."""
        asking = "REDISCLI_AUTH=$(cat /run/rpn/password) redis-cli role"
        return self("exec", "-T", service, "sh", "-c", asking).split()[0]


@pytest.fixture(scope="module")
def available(clone: Path) -> Iterator[Available]:
    if not engine_runs():
        pytest.skip("no Docker engine with Compose v2 answers here")
    compose = Available(clone, project="rpn-ha", net="10.85.0")
    try:
        compose("up", "--detach", "--build", "--wait")
        yield compose
    finally:
        compose("down", "--volumes", "--timeout", "5")


async def serves(crowd: Crowd) -> None:
    """Wait until a task that is submitted from now on has its result."""
    fresh = len(crowd.submitted)
    async with asyncio.timeout(RECOVERY_S):
        while not any(submission.done() for submission in crowd.submitted[fresh:]):
            await asyncio.sleep(0.02)


async def test_a_killed_master_costs_five_seconds_and_no_accepted_task(available: Available) -> None:
    url, former = available.published("lb", 3000), available.master_address()
    [master] = available.containers(MASTER)
    async with Crowd(url, size=5) as crowd:
        submitting = asyncio.create_task(crowd.submit(rate=20, seconds=10))
        await serves(crowd)
        killed_s = time.monotonic()
        await asyncio.to_thread(available.run, "docker", "kill", master["Id"])
        await serves(crowd)
        took_s = seconds_since(killed_s)
        await submitting
        results = await crowd.results(within_s=RECOVERY_S)
        assert results == list(range(len(results)))
        assert not crowd.left
    print(f"served again {took_s:.1f} s after the master was killed")
    assert took_s < SERVICE_LIMIT_S
    assert available.master_address() != former
    await asyncio.to_thread(available, "up", "--detach", "--wait", "--no-recreate")
    await asyncio.to_thread(
        wait_for, lambda: available.role(MASTER) == "slave", within_s=30, what="a former master that follows"
    )
