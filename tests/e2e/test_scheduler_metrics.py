"""A scheduler process tells operators how it is, on a port of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer
from rpn.store.keys import Keys
from scheduler.app import Scheduler
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_ports


async def test_a_leader_says_so(tmp_path: Path) -> None:
    [port] = free_ports(1)
    stop = asyncio.Event()
    with EmbeddedServer(tmp_path) as server:
        connection = Connection(server.url)
        scheduler = Scheduler(connection, SchedulerSettings(metrics_port=port))
        running = asyncio.create_task(scheduler.run(stop))
        async with (
            asyncio.timeout(PATIENCE_S),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            await scheduler.lookout.listening.wait()
            assert (await client.get("/livez")).status_code == 200
            while (await client.get("/readyz")).text != '{"status":"leading"}':
                await asyncio.sleep(0.02)
            text = (await client.get("/metrics")).text
        assert "rpn_scheduler_leader 1.0" in text
        assert 'rpn_scheduler_stream_length{stream="tasks"} 0.0' in text
        assert "rpn_build_info{version=" in text
        assert "rpn_scheduler_store_log_ok 1.0" in text
        assert "rpn_scheduler_store_write_seconds_count 0.0" not in text  # renewing the lease is a write, too
        stop.set()
        await running
        await connection.close()


async def test_a_leadership_that_the_fence_ended_is_counted_and_one_that_was_given_up_is_not(
    valkey: EmbeddedServer,
) -> None:
    stop, settings = asyncio.Event(), SchedulerSettings(pool="refused", scheduler_lease_s=0.4)
    connection = Connection(valkey.url)
    scheduler = Scheduler(connection, settings)
    running = asyncio.create_task(scheduler.run(stop))
    async with asyncio.timeout(PATIENCE_S):
        while not scheduler.leader.leads:
            await asyncio.sleep(0.01)
        await connection.command("DEL", Keys(settings.pool).lease)
        while scheduler.leader.counts.takeovers < 2:
            await asyncio.sleep(0.01)
    assert scheduler.leader.counts.refused == 1
    stop.set()
    await running
    await connection.close()
    assert scheduler.leader.counts.refused == 1
