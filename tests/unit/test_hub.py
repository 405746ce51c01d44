"""Who hears what, and when: newcomers, rounds, fresh lists, and those who lag behind."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.hub import CYCLE_MAX_S, LIST_EVERY_S, LIST_LIMIT, PAUSE_MIN_S, PAUSE_PER_COST, pause_after
from rpn.events import Identity, Kind, Operation, Report, pack_identity, pack_report
from rpn.messages import Observe, ResourceChanged
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import House, opened, settled


def join(device_id: str, session: str = "elsewhere") -> Operation:
    identity = pack_identity(Identity(device_id.upper(), "linux", "10.0.0.1"))
    return Operation(Kind.JOIN, device_id, session, "other-gateway", identity)


def leave(device_id: str) -> Operation:
    return Operation(Kind.LEAVE, device_id, "elsewhere", reason="closed")


def report(device_id: str, cpu_usage: float = 1) -> Operation:
    changed = ResourceChanged(device_id=device_id, resources=make.resources(cpu_usage=cpu_usage))
    return Operation(Kind.REPORT, device_id, report=pack_report(Report(msgspec.json.encode(changed))))


async def quiet(house: House) -> None:
    """Until a fresh list may be sent again, and none is due."""
    await asyncio.sleep(2 * LIST_EVERY_S)


def test_rounds_take_a_sixth_of_the_time_or_half_of_it_under_load() -> None:
    assert pause_after(0) == PAUSE_MIN_S
    assert pause_after(0.01) == PAUSE_PER_COST * 0.01
    assert pause_after(0.04) == CYCLE_MAX_S - 0.04
    assert pause_after(10) == 10


@virtual_time
async def test_a_newcomer_gets_the_list_with_itself_in_it_and_nothing_older() -> None:
    async with opened() as house:
        house.store.happens(join("b"))
        house.store.happens(report("b"))
        a = await house.device("a")
        assert a.wire.heard == ["devices b a"]


@virtual_time
async def test_a_newcomer_hears_everything_that_is_newer_and_never_its_own_arrival() -> None:
    async with opened() as house:
        a = await house.connect()
        a.say(make.register("a"))
        house.store.happens(join("before"))
        while not a.peer.joined:
            await asyncio.sleep(0)
        house.store.happens(join("after"))
        house.store.happens(report("after"))
        await settled()
        assert a.wire.heard[:3] == ["devices before a", "device_joined after", "resource_update after"]
        assert "device_joined a" not in a.wire.heard


@virtual_time
async def test_what_is_in_the_same_round_before_it_is_in_its_list_only() -> None:
    async with opened() as house:
        watching = await house.device("w")
        a = await house.connect()
        house.store.happens(report("w"))
        await asyncio.sleep(0)
        watching.wire.forget()
        house.store.happens(join("b"))
        a.say(make.register("a"))
        await settled()
        assert len(watching.wire.written) == 1, "it is one round"
        assert watching.wire.heard == ["device_joined b", "device_joined a"]
        assert a.wire.heard == ["devices w b a"]


@virtual_time
async def test_everybody_else_hears_of_a_newcomer_and_gets_a_fresh_list() -> None:
    async with opened() as house:
        a = await house.device("a")
        await quiet(house)
        a.wire.forget()
        await house.device("b")
        assert a.wire.heard == ["device_joined b", "devices a b"]


@virtual_time
async def test_an_unregistered_connection_hears_nothing() -> None:
    async with opened() as house:
        stranger = await house.connect()
        await house.device("a")
        await quiet(house)
        assert stranger.wire.written == []


@virtual_time
async def test_a_fresh_list_comes_at_most_once_a_second() -> None:
    async with opened() as house:
        a = await house.device("a")
        await quiet(house)
        a.wire.forget()
        for number in range(30):
            house.store.happens(join(f"d{number}"))
            await asyncio.sleep(0.1)
        await quiet(house)
        lists = [message for message in a.wire.messages if message["type"] == "devices"]
        assert len(lists) == 4
        assert len(lists[-1]["devices"]) == 31


@virtual_time
async def test_above_200_devices_joins_and_leaves_are_told_alone() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.store.happens(*[join(f"d{number}") for number in range(LIST_LIMIT)])
        await quiet(house)
        a.wire.forget()
        house.store.happens(join("one more"))
        await quiet(house)
        assert a.wire.heard == ["device_joined one more"]
        house.store.happens(leave("one more"), leave("d0"))
        await quiet(house)
        assert a.wire.types == ["device_joined", "device_left", "device_left", "devices"]


@virtual_time
async def test_a_round_is_one_write_for_each_connection() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        await quiet(house)
        for client in (a, b):
            client.wire.forget()
        house.store.happens(*[report(device_id) for device_id in "ab"])
        house.store.happens(report("a", 2))
        await settled()
        for client in (a, b):
            assert len(client.wire.written) == 1
            assert client.wire.heard == ["resource_update a", "resource_update b", "resource_update a"]


@virtual_time
async def test_a_message_to_one_waits_for_no_round_that_has_nothing_for_it() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b", receives="none")
        await quiet(house)
        for client in (a, b):
            client.wire.forget()
        started_s = asyncio.get_running_loop().time()
        house.store.happens(report("a"))
        await asyncio.sleep(0)  # its round is written, and the next has to keep its distance
        house.store.happens(report("a", 2))
        for client in (a, b):
            for number in (1, 2):
                house.hub.deliver(client.peer, b'{"type":"pong","requestId":"%d"}' % number)
        await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == started_s
        assert (a.wire.types, b.wire.types) == (["resource_update"], ["pong"] * 2)
        assert len(b.wire.written) == 1
        await settled()
        assert a.wire.types == ["resource_update"] * 2 + ["pong"] * 2


@virtual_time
async def test_who_wants_no_broadcasts_gets_itself_alone() -> None:
    async with opened() as house:
        await house.device("a")
        agent = await house.device("b", receives="none")
        house.store.happens(join("c"))
        await quiet(house)
        assert agent.wire.heard == ["devices b"]


@virtual_time
async def test_an_observer_sees_the_pool_and_is_no_device() -> None:
    async with opened() as house:
        await house.device("a")
        observer = await house.observer()
        assert observer.wire.heard == ["devices a"]
        house.store.happens(join("b"))
        await quiet(house)
        assert observer.wire.heard[1:] == ["device_joined b", "devices a b"]


@virtual_time
async def test_a_client_that_takes_nothing_misses_updates_and_learns_the_latest() -> None:
    async with opened() as house:
        house.store.happens(*map(join, ["b", "c", "d"]))
        a = await house.device("a")
        await quiet(house)
        a.wire.takes = False
        a.wire.forget()
        a.wire.buffered = a.wire.limit
        house.store.happens(report("b", 1))
        await settled()
        assert a.peer.lagging
        for cpu_usage in (2, 3):
            house.store.happens(report("b", cpu_usage), report("c", cpu_usage), join(f"new{cpu_usage}"))
            await settled()
        house.store.happens(leave("d"), leave("new2"))
        await quiet(house)
        assert a.wire.heard == ["resource_update b"], "nothing but the round that was one too many"
        a.wire.forget()
        a.take()
        await settled()
        assert sorted(a.wire.heard) == [
            "device_joined new3",
            "device_left d",
            "device_left new2",
            "devices b c a new3",
            "resource_update b",
            "resource_update c",
        ]
        usage = {m["deviceId"]: m["resources"]["cpuUsage"] for m in a.wire.messages if "resources" in m}
        assert usage == {"b": 3, "c": 3}
        assert not a.peer.lagging


@virtual_time
async def test_nobody_else_notices_one_who_lags() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        a.peer.lagging = True
        b.wire.forget()
        house.store.happens(report("b"))
        await settled()
        assert "resource_update b" in b.wire.heard
        assert "resource_update b" not in a.wire.heard
        assert house.counters.skipped >= 1


@virtual_time
async def test_one_who_still_does_not_take_it_goes_on_lagging() -> None:
    async with opened() as house:
        a = await house.device("a")
        await quiet(house)
        a.wire.takes, a.wire.buffered = False, a.wire.limit
        house.store.happens(join("b"))
        await settled()
        assert a.peer.lagging
        a.wire.buffered = a.wire.limit // 2
        a.peer.outbox_limit = 1
        house.hub.catch_up(a.peer)
        await settled()
        assert a.peer.lagging


@virtual_time
async def test_a_list_that_waits_for_one_who_catches_up_is_not_lost() -> None:
    async with opened() as house:
        a = await house.device("a")
        await quiet(house)
        a.wire.forget()
        a.peer.lagging, a.peer.missed = True, {"b": False}
        house.hub.welcome(a.peer)
        house.hub.catch_up(a.peer)
        await settled()
        assert a.wire.heard == ["devices a"]


@virtual_time
async def test_one_who_catches_up_hears_nothing_that_is_older_than_what_it_was_told() -> None:
    async with opened() as house:
        house.store.happens(join("b"))
        a = await house.device("a")
        await quiet(house)
        a.wire.takes, a.wire.buffered = False, a.wire.limit
        house.store.happens(report("b", 1))
        await settled()
        assert a.peer.lagging
        house.store.happens(report("b", 2))  # in the round that is being gathered
        a.wire.forget()
        a.take()
        house.store.happens(report("b", 3))
        await settled()
        heard = [m["resources"]["cpuUsage"] for m in a.wire.messages if m["type"] == "resource_update"]
        assert heard == [2, 3] or heard == [3], heard


@virtual_time
async def test_a_device_that_the_store_forgot_is_not_told_of_itself() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        await quiet(house)
        for client in (a, b):
            client.wire.forget()
        house.store.model.sessions.pop("a")
        house.reload()
        await settled()
        assert [each for each in b.wire.heard if not each.startswith("devices")] == [
            "device_left a",
            "device_joined a",
        ]
        assert [each for each in a.wire.heard if not each.startswith("devices")] == []
        assert house.hub.speaks(a.peer)


@virtual_time
async def test_the_list_is_encoded_once_for_a_herd() -> None:
    async with opened() as house:
        clients = [await house.connect() for _ in range(5)]
        for number, client in enumerate(clients):
            client.say(make.register(f"d{number}"))
        await settled()
        assert {client.wire.heard[0] for client in clients} == {"devices d0 d1 d2 d3 d4"}
        listed = house.hub._plain.listed
        assert listed(house.replica) is listed(house.replica)


@virtual_time
async def test_registering_again_renames_and_answers_with_the_list() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        await quiet(house)
        for client in (a, b):
            client.wire.forget()
        a.say(make.register("a", device_name="Renamed"))
        await quiet(house)
        assert a.wire.heard == ["devices a b"]
        assert a.wire.messages[0]["devices"][0]["name"] == "Renamed"
        assert b.wire.heard == ["devices a b"]
        assert house.store.model.sessions["a"].split()[0] == a.peer.session_id


NEWS = [b'{"type":"pool_event","kind":"leader"}']


@virtual_time
async def test_news_are_for_those_who_accept_events() -> None:
    async with opened() as house:
        plain = await house.device("plain")
        agent = await house.device("agent", accepts=frozenset({"events"}), receives="none")
        curious = await house.device("curious", accepts=frozenset({"events"}))
        observer = await house.connect()
        observer.say(Observe(accepts=frozenset({"events"})))
        await settled()
        house.hub.tell_news(NEWS)
        await settled()
        heard = [each.wire.types.count("pool_event") for each in (plain, agent, curious, observer)]
        assert heard == [0, 0, 1, 1]


@virtual_time
async def test_who_registers_again_without_events_hears_no_more_news() -> None:
    async with opened() as house:
        former = await house.device("former", accepts=frozenset({"events"}))
        former.say(make.register("former", accepts=frozenset({"acks"})))
        await settled()
        house.hub.tell_news(NEWS)
        await settled()
        assert "pool_event" not in former.wire.types


@virtual_time
async def test_who_lags_or_left_misses_the_news() -> None:
    async with opened() as house:
        slow = await house.device("slow", accepts=frozenset({"events"}))
        gone = await house.device("gone", accepts=frozenset({"events"}))
        slow.peer.lagging = True
        await gone.hang_up()
        house.hub.tell_news(NEWS)
        await settled()
        assert "pool_event" not in slow.wire.types + gone.wire.types
