"""A master dies: Sentinels or the Cluster name another, and we find it; what was accepted is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.pool import PoolStore
from rpn.store.steps import Step, run_steps
from rpn.store.tasks import TaskLimits, Tasks
from tests.ha.conftest import Replicated
from tests.store.batches import Gateway
from tests.store.deciding import task
from tests.store.listening import following
from tests.support.patience import PATIENCE_S
from tests.support.servers import SentinelServers

pytestmark = pytest.mark.slow

Call = Callable[[], Awaitable[object]]

SUBMITTERS = 4


class Accepted:
    """Submits tasks one after the other, each until it is known to be accepted, as a gateway does."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._tasks = Tasks(connection, keys)
        self.names: list[tuple[str, str]] = []
        self.at_s: list[float] = []

    async def go_on(self, submitter_id: str) -> None:
        number = 0
        while True:
            number += 1
            step = self._tasks.submit(task(f"t{number}", submitter_id), TaskLimits(1_000_000, 1_000_000))
            while not await self.known(step):
                await asyncio.sleep(0.02)
            self.names.append((submitter_id, f"t{number}"))
            self.at_s.append(time.monotonic())
            await asyncio.sleep(0.002)

    async def known(self, step: Step[Any]) -> bool:
        try:
            [answer] = await run_steps(self._connection, [step])
        except StoreUnavailable:
            return False
        return not isinstance(answer, StoreUnavailable)

    @property
    def longest_gap_s(self) -> float:
        return max(after - before for before, after in zip(self.at_s, self.at_s[1:], strict=False))

    async def until(self, count: int) -> None:
        """Wait for so many more to be accepted."""
        count += len(self.names)
        async with asyncio.timeout(PATIENCE_S):
            while len(self.names) < count:
                await asyncio.sleep(0.05)


async def test_a_failover_costs_little_service_and_no_accepted_task(
    replicated_servers: Replicated, replicated: Connection, keys: Keys
) -> None:
    accepted = Accepted(replicated, keys)
    going_on = [asyncio.create_task(accepted.go_on(f"s{number}")) for number in range(SUBMITTERS)]
    await accepted.until(200)
    replicated_servers.master.kill()
    await accepted.until(SUBMITTERS + 1)  # those that were under way do not count
    await accepted.until(200)
    for each in going_on:
        each.cancel()
    await asyncio.gather(*going_on, return_exceptions=True)
    found = await Tasks(replicated, keys).load(accepted.names)
    assert [name for name, stored in zip(accepted.names, found, strict=True) if stored is None] == []
    print(f"nothing was accepted for {accepted.longest_gap_s:.1f} s")


async def test_who_follows_the_pool_follows_it_to_the_new_master(
    replicated_servers: Replicated, replicated: Connection, keys: Keys
) -> None:
    pool = PoolStore(replicated, keys)
    async with following(replicated, keys) as followed:
        await Gateway(pool, "early").join("before")
        await followed.until_there("before")
        replicated_servers.master.kill()
        async with asyncio.timeout(PATIENCE_S):
            await join_for_certain(Gateway(pool, "late"), "before", "after")
        await followed.until_there("before", "after")


async def join_for_certain(gateway: Gateway, *device_ids: str) -> None:
    """Devices join as a gateway sees to it: the same bytes again until their outcome is known."""
    call: Call = partial(gateway.join, *device_ids)
    while True:
        try:
            await call()
        except StoreUnavailable:
            call = gateway.send_again
            await asyncio.sleep(0.05)
        else:
            return


async def test_nothing_is_accepted_that_no_replica_has_and_repeating_it_changes_nothing(
    replicated_servers: Replicated, replicated: Connection, keys: Keys
) -> None:
    step = Tasks(replicated, keys).submit(task("t"), TaskLimits(10, 10))
    for replica in replicated_servers.replicas:
        replica.freeze()
    other = Connection(replicated_servers.url, pool="p", durability="replica")
    for connection in (replicated, other):  # the other finds the task there, and writes nothing of its own
        with pytest.raises(StoreUnavailable, match="no replica"):
            await run_steps(connection, [step])
    await other.close()
    for replica in replicated_servers.replicas:
        replica.thaw()
    async with asyncio.timeout(PATIENCE_S):
        while not await Accepted(replicated, keys).known(step):
            await asyncio.sleep(0.05)
    assert (await Tasks(replicated, keys).load([("a", "t")]))[0] is not None


async def test_who_needs_no_replica_does_not_wait_for_one(sentinels: SentinelServers, keys: Keys) -> None:
    connection = Connection(sentinels.url, pool="p")
    for replica in sentinels.replicas:
        replica.freeze()
    [answer] = await run_steps(connection, [Tasks(connection, keys).submit(task("t"), TaskLimits(10, 10))])
    assert not isinstance(answer, Exception)
    await connection.close()


async def test_without_its_sentinels_a_known_master_still_serves(sentinels: SentinelServers) -> None:
    known = Connection(sentinels.url, pool="p")
    await known.command("PING")
    for sentinel in sentinels.sentinels:
        sentinel.kill()
    assert await known.command("PING")
    await known.close()
    lost = Connection(sentinels.url, pool="p")
    with pytest.raises(StoreUnavailable, match="none of the Sentinels"):
        await lost.command("PING")
    await lost.close()
