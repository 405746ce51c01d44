"""Every report of a device is told, in order, unless the store is away or far behind."""

from __future__ import annotations

import asyncio

from gateway.uplink import BATCH_LIMIT, BEHIND_LIMIT
from rpn.errors import StoreUnavailable
from rpn.events import Kind
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import cpu_usages, opened, settled


@virtual_time
async def test_what_is_reported_with_the_register_is_told_after_the_join() -> None:
    async with opened() as house:
        a = await house.connect()
        a.say(make.register("a"), *(make.update("a", cpu_usage=each) for each in (7, 8)))
        await settled()
        assert house.store.said == [(Kind.JOIN, "a"), (Kind.REPORT, "a")]
        assert cpu_usages(a) == [7, 8]


@virtual_time
async def test_a_last_report_is_told_before_its_device_leaves() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        house.store.open.clear()
        b.say(make.heartbeat("b"), make.update("b"))
        await settled()
        a.say(make.update("a", cpu_usage=7))
        await a.hang_up()
        b.wire.forget()
        house.store.open.set()
        await settled()
        assert b.wire.heard == ["resource_update b", "resource_update a", "device_left a"]


@virtual_time
async def test_a_device_that_said_more_than_a_batch_holds_goes_on_in_the_next() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.store.open.clear()
        said = range(BATCH_LIMIT // 100)
        for cpu_usage in said:
            a.say(make.update("a", cpu_usage=cpu_usage))
        house.store.open.set()
        await settled()
        assert max(len(sent.payload) for sent in house.store.sent) < 1.1 * BATCH_LIMIT
        assert cpu_usages(a) == list(said)


@virtual_time
async def test_while_the_store_is_away_each_devices_latest_waits() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.store.failures = [StoreUnavailable("gone")] * 3
        a.say(make.update("a", cpu_usage=0))
        await asyncio.sleep(0.1)
        for cpu_usage in range(1, 10):
            a.say(make.update("a", cpu_usage=cpu_usage))
        await asyncio.sleep(1)
        assert cpu_usages(a) == [0, 9]
        assert house.counters.folded == 8


@virtual_time
async def test_while_the_store_is_far_behind_each_devices_latest_waits() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        house.store.open.clear()
        a.say(make.update("a"))
        await settled()
        size = len(a.peer.report)
        for cpu_usage in range(BEHIND_LIMIT // size + 2):
            b.say(make.update("b", cpu_usage=cpu_usage))
        last = BEHIND_LIMIT // size + 2
        for cpu_usage in (last, last + 1):
            a.say(make.update("a", cpu_usage=cpu_usage))
            b.say(make.update("b", cpu_usage=cpu_usage))
        a.wire.forget()
        house.store.open.set()
        await settled()
        assert cpu_usages(a, of="a")[-1] == cpu_usages(a, of="b")[-1] == last + 1
        assert cpu_usages(a, of="b") == [last + 1]
