"""The whole loop: read the stream, decide, commit, as a leading scheduler does, until all is answered."""

from __future__ import annotations

import asyncio
import gc

from bench.scheduler.filled import Filled
from bench.scheduler.taken import Taken, taking
from rpn.replica import Replica
from rpn.settings import SchedulerSettings
from rpn.store.follower import Follower
from scheduler.leader import Leader

LOOK_EVERY_S = 0.02


async def whole_loop(pool: Filled) -> Taken:
    """Lead until every request is answered."""
    replica = Replica()
    follower = Follower(pool.connection, pool.keys, replica, lambda changes: None)
    settings = SchedulerSettings(redis_url=pool.url, scheduler_lease_s=5, allocation_limit=100_000)
    leader = Leader(pool.connection, pool.keys, settings, replica, follower.now_ms)
    following = asyncio.create_task(follower.run())
    await follower.ready()
    aside = pool.keys.prefix + "aside"
    await pool.connection.command("RENAME", pool.keys.requests, aside)
    leading = asyncio.create_task(leader.run())
    while not leader.counts.commits:  # how the pool stands is written after the take-over
        await asyncio.sleep(LOOK_EVERY_S)
    gc.collect()
    await pool.connection.command(
        "EVAL", "collectgarbage()", 0
    )  # what the snapshot of all devices left there
    with taking(pool) as taken:
        await pool.connection.command("RENAME", aside, pool.keys.requests)
        while await pool.connection.command("XLEN", pool.keys.requests):
            await asyncio.sleep(LOOK_EVERY_S)
    await leader.step_down()
    following.cancel()
    await asyncio.wait((leading, following))
    leading.result()
    answered = leader.counts.requests_fulfilled + leader.counts.requests_refused
    if answered != pool.requests:
        raise RuntimeError(f"{answered} of {pool.requests} requests were answered")
    return taken
