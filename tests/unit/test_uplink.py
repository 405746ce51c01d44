"""What devices say reaches the store folded, batched, in order, and exactly once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.desk import HEARD_EVERY_S
from gateway.uplink import (
    BATCH_COUNT,
    BATCH_LIMIT,
    GATHER_LIMIT_S,
    GATHER_S,
    JOIN_LIMIT_S,
    RENEW_S,
    pause_after,
)
from rpn.errors import StoreUnavailable
from rpn.events import Kind
from rpn.messages import Ping
from rpn.store.pool import SAME, WHOEVER, Resync
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import cpu_usages, opened, settled


@virtual_time
async def test_the_first_word_after_quiet_goes_at_once() -> None:
    async with opened() as house:
        a = await house.device("a")
        before_s = asyncio.get_running_loop().time()
        a.say(make.update("a"))
        while house.store.said[-1] != (Kind.REPORT, "a"):
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == before_s


@virtual_time
async def test_a_heartbeat_waits_for_the_next_batch_and_no_longer_than_the_renewal() -> None:
    async with opened() as house:
        a = await house.device("a")
        before = house.store.said.copy()
        a.say(make.heartbeat("a"))
        await settled()
        assert house.store.said == before
        await asyncio.sleep(RENEW_S)
        await settled()
        assert house.store.said[len(before) :] == [(Kind.HEARD, "a")]


@virtual_time
async def test_whatever_a_device_says_the_pool_knows_that_it_is_there() -> None:
    async with opened() as house:
        a = await house.device("a")
        before = len(house.store.said)
        await asyncio.sleep(2 * HEARD_EVERY_S)
        a.say(Ping(), Ping())
        await asyncio.sleep(RENEW_S)
        await settled()
        assert house.store.said[before:] == [(Kind.HEARD, "a")]


@virtual_time
async def test_all_that_one_device_says_meanwhile_is_one_operation() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        house.store.open.clear()
        a.say(make.update("a"))
        await settled()
        for cpu_usage in (1, 2, 3):
            a.say(make.heartbeat("a"), make.update("a", cpu_usage=cpu_usage))
        b.say(make.heartbeat("b"))
        house.store.open.set()
        await settled()
        assert house.store.sent[-1].kinds == [(Kind.REPORT, "a"), (Kind.HEARD, "b")]
        assert house.replica.devices["a"].resources.cpu_usage == 3
        assert cpu_usages(b)[-3:] == [1, 2, 3]


@virtual_time
async def test_one_batch_is_under_way_and_numbers_count_up() -> None:
    async with opened() as house:
        clients = [await house.device(f"d{number}") for number in range(5)]
        for _ in range(10):
            for number, client in enumerate(clients):
                client.say(make.update(f"d{number}"))
            await asyncio.sleep(0)
        await settled()
        assert house.store.most_under_way == 1
        assert [sent.number for sent in house.store.sent] == list(range(1, len(house.store.sent) + 1))


@virtual_time
async def test_the_same_bytes_go_again_until_their_outcome_is_known() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.store.failures = [StoreUnavailable("gone")] * 3
        a.say(make.update("a", cpu_usage=1))
        await asyncio.sleep(0.1)
        a.say(make.update("a", cpu_usage=2))
        assert not house.uplink.available
        await asyncio.sleep(1)
        assert house.uplink.available
        repeated = house.store.sent[-5:-1]
        assert len({(sent.number, sent.tip, sent.payload) for sent in repeated}) == 1
        assert house.store.sent[-1].number == repeated[0].number + 1
        assert house.replica.devices["a"].resources.cpu_usage == 2


@virtual_time
async def test_an_empty_batch_each_second_renews_the_lease() -> None:
    async with opened() as house:
        await settled()
        before = len(house.store.sent)
        await asyncio.sleep(5 * RENEW_S)
        renewals = house.store.sent[before:]
        assert len(renewals) == 5
        assert all(sent.batch == [] for sent in renewals)


@virtual_time
@pytest.mark.parametrize("devices", [1, 40])
async def test_a_batch_is_followed_by_a_pause_to_gather(devices: int) -> None:
    async with opened(device_limit=1000) as house:
        clients = [await house.connect() for _ in range(devices)]
        for number, client in enumerate(clients):
            client.say(make.register(f"d{number}"))
        await asyncio.sleep(0.001)
        sent = len(house.store.sent)
        clients[0].say(make.update("d0"))
        await asyncio.sleep(pause_after(devices) - 0.002)
        assert len(house.store.sent) == sent
        await asyncio.sleep(0.004)
        assert len(house.store.sent) > sent


@virtual_time
async def test_while_whole_batches_wait_there_is_no_pause() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.store.open.clear()
        a.say(make.update("a"))
        await settled()
        sent = len(house.store.sent)
        while house.uplink._waiting < 3 * BATCH_LIMIT:
            a.say(make.update("a"))
        house.store.open.set()
        for _ in range(100):  # turns of the loop, in which no time passes
            await asyncio.sleep(0)
        assert len(house.store.sent) >= sent + 3


def test_the_more_a_batch_held_the_longer_the_next_is_gathered() -> None:
    assert GATHER_S < pause_after(1) < pause_after(50) < GATHER_LIMIT_S == pause_after(1000)


@virtual_time
async def test_a_batch_is_cut_and_the_rest_comes_next() -> None:
    async with opened(device_limit=2 * BATCH_COUNT) as house:
        house.store.open.clear()
        clients = [await house.connect() for _ in range(BATCH_COUNT + 5)]
        for number, client in enumerate(clients):
            client.say(make.register(f"d{number}", labels={"note": "x" * 100}))
        house.store.open.set()
        await settled()
        sizes = [len(sent.batch) for sent in house.store.sent if sent.batch]
        assert sum(sizes) == BATCH_COUNT + 5
        assert max(sizes) <= BATCH_COUNT
        assert max(len(sent.payload) for sent in house.store.sent) < 300 * 1024


@virtual_time
async def test_a_socket_that_is_gone_before_its_join_was_sent_was_never_there() -> None:
    async with opened() as house:
        await settled()
        house.store.open.clear()
        await asyncio.sleep(RENEW_S)
        a = await house.connect()
        a.say(make.register("a"))
        await a.hang_up()
        house.store.open.set()
        await settled()
        assert house.store.said == []


@virtual_time
async def test_a_socket_that_is_gone_while_its_join_is_under_way_leaves_after_it() -> None:
    async with opened() as house:
        house.store.open.clear()
        a = await house.connect()
        a.say(make.register("a"))
        await settled()
        await a.hang_up()
        house.store.open.set()
        await settled()
        assert house.store.said == [(Kind.JOIN, "a"), (Kind.LEAVE, "a")]
        assert house.replica.devices == {}


@virtual_time
async def test_a_clean_close_leaves_and_a_cut_one_is_lost() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        await a.hang_up(clean=True)
        await b.hang_up(clean=False)
        await settled()
        assert house.store.said[-2:] == [(Kind.LEAVE, "a"), (Kind.LOSE, "b")]
        assert list(house.replica.devices) == ["b"]


@virtual_time
async def test_a_join_that_comes_too_late_is_not_applied_and_its_socket_closes() -> None:
    async with opened() as house:
        house.store.broken = StoreUnavailable("gone")
        a = await house.connect()
        a.say(make.register("a"))
        await asyncio.sleep(JOIN_LIMIT_S + 0.5)
        house.store.broken = None
        await asyncio.sleep(0.6)
        assert a.wire.closed == (1011, "the pool's server did not answer in time")
        assert house.replica.devices == {}


@virtual_time
async def test_after_a_resync_everybody_joins_again_under_a_new_id() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        former = house.uplink.gateway
        sessions = {client.peer.session_id for client in (a, b)}
        house.store.failures = [Resync()]
        a.say(make.update("a", cpu_usage=9))
        await settled()
        again = house.store.sent[-1]
        assert (again.gateway != former, again.number) == (True, 1)
        assert [(each.operation.kind, each.expected) for each in again.batch] == [(Kind.JOIN, SAME)] * 2
        assert {each.operation.session for each in again.batch} == sessions
        assert house.replica.devices["a"].resources.cpu_usage == 9
        assert a.wire.closed is None


@virtual_time
async def test_one_whose_device_was_taken_over_meanwhile_is_closed_by_the_resync() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.hears = False
        house.store.model.sessions["a"] = "newer elsewhere"
        house.store.failures = [Resync()]
        a.say(make.update("a"))
        await settled()
        assert a.wire.closed == (1008, "superseded")
        assert house.store.model.sessions["a"] == "newer elsewhere"


@virtual_time
async def test_a_join_under_way_at_a_resync_is_made_again_and_still_supersedes() -> None:
    async with opened() as house:
        house.store.model.sessions["a"] = "older elsewhere"
        house.store.failures = [Resync()]
        a = await house.device("a")
        assert [sent.batch[0].expected for sent in house.store.sent if sent.batch] == [WHOEVER] * 2
        assert a.peer.joined


@virtual_time
async def test_a_newer_connections_join_survives_the_resync_of_an_older_one() -> None:
    async with opened() as house:
        house.store.open.clear()
        older, newer = await house.connect(), await house.connect()
        older.say(make.register("a"))
        await settled()
        newer.say(make.register("a"))
        house.store.failures = [Resync()]
        house.store.open.set()
        await settled()
        assert newer.peer.joined
        assert house.store.model.sessions["a"].split()[0] == newer.peer.session_id


@virtual_time
async def test_of_two_that_wait_to_join_as_one_device_the_newer_does() -> None:
    async with opened() as house:
        await settled()
        house.store.open.clear()
        await asyncio.sleep(RENEW_S)
        older, newer = await house.connect(), await house.connect()
        older.say(make.register("a"))
        newer.say(make.register("a"))
        assert older.wire.closed == (1008, "superseded")
        house.store.open.set()
        await settled()
        assert newer.wire.heard == ["devices a"]
        assert house.store.said == [(Kind.JOIN, "a")]


@virtual_time
async def test_an_old_socket_of_a_superseded_device_changes_nothing() -> None:
    async with opened() as house:
        older = await house.device("a")
        newer = await house.device("a")
        assert older.wire.closed == (1008, "superseded")
        assert newer.wire.heard == ["devices a"]
        said = len(house.store.said)
        older.say(make.update("a", cpu_usage=99), make.heartbeat("a"))
        await older.hang_up()
        await settled()
        assert house.store.said[said:] == []
        assert house.replica.devices["a"].session == newer.peer.session_id
        assert "device_left a" not in newer.wire.heard


@virtual_time
async def test_a_leave_is_not_forgotten_with_a_join_that_never_went() -> None:
    async with opened() as house:
        older = await house.device("a")
        house.store.open.clear()
        await asyncio.sleep(RENEW_S)
        await older.hang_up(clean=True)
        newer = await house.connect()
        newer.say(make.register("a"))
        await newer.hang_up()
        house.store.open.set()
        await settled()
        assert house.store.said[-1] == (Kind.LEAVE, "a")
        assert house.replica.devices == {}


@virtual_time
async def test_an_older_connection_does_not_hide_that_a_newer_one_ended() -> None:
    async with opened() as house:
        older = await house.device("a")
        house.store.open.clear()
        newer = await house.connect()
        newer.say(make.register("a"))
        await settled()
        await newer.hang_up(clean=True)
        older.say(make.heartbeat("a"))
        house.store.open.set()
        await settled()
        assert house.replica.devices == {}, "the newer one joined, and left"


@virtual_time
async def test_it_is_idle_when_everything_is_in_the_store() -> None:
    async with opened() as house:
        a = await house.device("a")
        await settled()
        assert house.uplink.idle.is_set()
        house.store.open.clear()
        a.say(make.update("a"))
        await settled()
        assert not house.uplink.idle.is_set()
        house.store.open.set()
        await settled()
        assert house.uplink.idle.is_set()
