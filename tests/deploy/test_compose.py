"""The cluster of docker-compose.yml: it starts, grows, shrinks, and survives a `docker kill`."""

from __future__ import annotations

import asyncio

import pytest

from tests.deploy.conftest import Started
from tests.deploy.crowd import Crowd
from tests.deploy.engine import connections
from tests.support.cluster import call, device_ids, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECOVERY_S = 15


def test_a_clean_clone_is_healthy_within_a_minute(cluster: Started) -> None:
    assert cluster.healthy_after_s < 60


@pytest.mark.parametrize("path", ["metrics", "%6Detrics", "metrics?x=1", "readyz", "livez", "%72eadyz"])
def test_the_operators_routes_are_closed_to_the_public(cluster: Started, path: str) -> None:
    answer = call(f"{cluster.url}/{path}")
    assert (answer.status, answer.json()["code"]) == (404, "NOT_FOUND")


def test_nothing_but_the_balancer_and_prometheus_is_published(cluster: Started) -> None:
    published = {
        service
        for service in cluster("ps", "--services").split()
        for container in cluster.containers(service)
        if any(container["NetworkSettings"]["Ports"].values())
    }
    assert published == {"lb", "prometheus"}


def test_nothing_runs_as_root_or_may_write_its_image(cluster: Started) -> None:
    for service in ("redis", "gateway", "scheduler", "agent"):
        for container in cluster.containers(service):
            assert container["HostConfig"]["ReadonlyRootfs"]
            assert container["HostConfig"]["CapDrop"] == ["ALL"]
            assert container["Config"]["User"] not in ("", "root", "0")


async def test_it_grows_and_shrinks_and_nobody_is_seen_leaving(cluster: Started) -> None:
    def scale(gateways: int) -> None:
        cluster("up", "-d", "--no-recreate", "--wait", "--scale", f"gateway={gateways}")

    async with Crowd(cluster.url, size=10) as early:
        await asyncio.to_thread(scale, 4)
        async with Crowd(cluster.url, size=20) as late:
            await asyncio.to_thread(
                wait_for,
                lambda: all(map(connections, cluster.inside("gateway", 3000))),
                within_s=5,
                what="every gateway holds connections",
            )
            await asyncio.to_thread(scale, 2)
            await early.echo(within_s=RECOVERY_S)
            await late.echo(within_s=RECOVERY_S)
            assert early.ids | late.ids <= device_ids(cluster.url)
            assert not early.left + late.left
            assert set(late.closes) == {1001}


async def survives(cluster: Started, kill: str, *, start_again: bool = False) -> None:
    """A container is killed while tasks come in: each has its one outcome, soon."""
    async with Crowd(cluster.url, size=5) as crowd:
        submitting = asyncio.create_task(crowd.submit(rate=20, seconds=6))
        await asyncio.sleep(2)
        await asyncio.to_thread(cluster.run, "docker", "kill", kill)
        if start_again:
            await asyncio.sleep(1)
            await asyncio.to_thread(cluster.run, "docker", "start", kill)
        await crowd.echo(within_s=RECOVERY_S)
        await submitting
        results = await crowd.results(within_s=RECOVERY_S)
        assert results == list(range(len(results)))
    await asyncio.to_thread(cluster.back)


async def test_a_killed_gateway_costs_nobody_a_task(cluster: Started) -> None:
    await survives(cluster, cluster.containers("gateway")[0]["Id"])


async def test_a_killed_leader_costs_nobody_a_task(cluster: Started) -> None:
    await survives(cluster, cluster.leader())


async def test_a_killed_agent_costs_nobody_a_task(cluster: Started) -> None:
    await survives(cluster, cluster.containers("agent")[0]["Id"])


async def test_a_killed_redis_costs_nobody_a_task(cluster: Started) -> None:
    await survives(cluster, cluster.containers("redis")[0]["Id"], start_again=True)
