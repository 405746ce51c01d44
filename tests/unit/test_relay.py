"""What the pool says reaches those whom it concerns, and nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.relay import RECEIPT_S, Relay
from rpn.codec import encode
from rpn.errors import StoreUnavailable
from rpn.events import Identity, Kind, Operation, pack_identity
from rpn.messages import (
    Ack,
    Acked,
    Message,
    ResourceAllocation,
    ResourceRequest,
    TaskCancelled,
    TaskProgress,
    TaskResultMessage,
    TaskStatus,
)
from rpn.model import Allocation, Requirements
from rpn.store.mailbox import Letter
from rpn.store.pool import InboxItem
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import KEYS, Client, House, opened, settled

ALLOCATION = Allocation("x", "a", "2025-10-20T10:30:00.000Z", Requirements(cpu=1), False, [])
RESULT = TaskResultMessage(task_id="t", result={"success": True, "result": 1})
FOR_ALL: list[Message] = [ResourceAllocation(allocation=ALLOCATION), RESULT]
OPT_IN: list[Message] = [
    make.assign(),
    TaskCancelled(task_id="t", attempt="1"),
    TaskStatus(task_id="t", state="queued"),
    TaskProgress(task_id="t", progress=0.5),
    Acked(ids=["1"]),
]


def letter(client: Client, message: Message, *, inbox_id: str = "", session: str | None = None) -> Letter:
    found = client.peer.session_id if session is None else session
    return Letter(client.peer.device_id, found, inbox_id, encode(message))


def forgotten(house: House) -> list[tuple[Any, ...]]:
    """What the store was told has arrived."""
    return [words for trip in house.connection.trips for words in trip if words[0] == "HDEL"]


@virtual_time
async def test_a_letter_reaches_the_session_it_names() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        b.wire.forget()
        house.relay.on_letter(letter(a, RESULT))
        await settled()
        assert a.wire.types[-1] == "task_result"
        assert "task_result" not in b.wire.types


@virtual_time
async def test_a_letter_for_another_session_or_nobody_is_not_ours() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.relay.on_letter(letter(a, RESULT, session="former"))
        house.relay.on_letter(Letter("nobody", "s", "", encode(RESULT)))
        await settled()
        assert "task_result" not in a.wire.types


@virtual_time
async def test_a_letter_that_overtakes_the_join_waits_for_the_list() -> None:
    async with opened() as house:
        house.store.open.clear()
        a = await house.connect()
        a.say(make.register("a"))
        await settled()
        house.relay.on_letter(letter(a, RESULT))
        house.store.open.set()
        await settled()
        assert a.wire.types == ["devices", "task_result"]


@virtual_time
async def test_what_waited_in_the_inbox_comes_right_after_the_list() -> None:
    async with opened() as house:
        house.store.inboxes["a"] = [InboxItem("task:t", encode(RESULT))]
        a = await house.device("a")
        assert a.wire.types == ["devices", "task_result"]


@pytest.mark.parametrize("message", OPT_IN, ids=lambda message: type(message).__name__)
def test_a_plain_client_never_gets_what_it_did_not_opt_in_to(message: Message) -> None:
    @virtual_time
    async def check() -> None:
        async with opened() as house:
            plain, agent = await house.device("a"), await house.device("b", accepts=frozenset({"tasks"}))
            await asyncio.sleep(2)
            for client in (plain, agent):
                client.wire.forget()
                house.relay.on_letter(letter(client, message))
            await settled()
            assert plain.wire.written == []
            assert len(agent.wire.messages) == 1

    check()


@pytest.mark.parametrize("message", FOR_ALL, ids=lambda message: type(message).__name__)
def test_answers_of_api_md_reach_everybody(message: Message) -> None:
    @virtual_time
    async def check() -> None:
        async with opened() as house:
            plain = await house.device("a")
            house.relay.on_letter(letter(plain, message))
            await settled()
            assert plain.wire.frames[-1]["type"] == plain.wire.types[-1] != "devices"

    check()


@virtual_time
async def test_a_plain_client_counts_as_having_received_while_its_socket_lives() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.relay.on_letter(letter(a, RESULT, inbox_id="task:t"))
        await asyncio.sleep(RECEIPT_S - 0.5)
        assert forgotten(house) == []
        await asyncio.sleep(2)
        assert forgotten(house) == [("HDEL", KEYS.inbox("a"), "task:t")]


@virtual_time
async def test_what_a_broken_socket_did_not_take_stays_in_the_inbox() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        for client in (a, b):
            house.relay.on_letter(letter(client, RESULT, inbox_id="task:t"))
        await settled()
        await a.hang_up(clean=False)
        b.peer.lagging = True
        await asyncio.sleep(RECEIPT_S + 2)
        assert forgotten(house) == []


@virtual_time
async def test_one_who_acknowledges_keeps_its_inbox_until_it_does() -> None:
    async with opened() as house:
        a = await house.device("a", accepts=frozenset({"acks"}))
        house.relay.on_letter(letter(a, RESULT, inbox_id="task:t"))
        await asyncio.sleep(RECEIPT_S + 2)
        assert forgotten(house) == []
        a.say(Ack(ids=["t"]))
        house.connection.broken = StoreUnavailable("gone")
        await asyncio.sleep(3)
        house.connection.broken = None
        await asyncio.sleep(2)
        assert forgotten(house)[-1] == ("HDEL", KEYS.inbox("a"), "task:t", "allocation:t", "update:t")


@virtual_time
async def test_a_device_that_another_gateway_takes_over_is_superseded_here() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        identity = pack_identity(Identity("A", "linux", "127.0.0.1", {}, []))
        b.wire.forget()
        house.store.happens(Operation(Kind.JOIN, "a", "newer", "elsewhere", identity))
        await settled()
        assert a.wire.closed == (1008, "superseded")
        assert not [each for each in b.wire.heard if each.endswith(("_left a", "_joined a"))]
        assert "a" not in house.hub.peers


@virtual_time
async def test_a_device_that_the_pool_removed_is_told_to_come_back() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        b.wire.forget()
        house.store.happens(Operation(Kind.LEAVE, "a", a.peer.session_id, reason="silent"))
        await settled()
        assert a.wire.closed == (1001, "removed")
        assert "device_left a" in b.wire.heard


@virtual_time
async def test_a_device_missing_from_a_snapshot_joins_again() -> None:
    async with opened() as house:
        a = await house.device("a")
        house.store.model._forget("a")
        house.reload()
        await settled()
        assert house.store.model.sessions["a"].startswith(a.peer.session_id)
        assert a.wire.closed is None


@virtual_time
async def test_losing_and_resuming_is_no_news_for_others() -> None:
    async with opened() as house:
        a, b = await house.device("a"), await house.device("b")
        await asyncio.sleep(2)
        b.wire.forget()
        await a.hang_up(clean=False)
        await house.device("a")
        await asyncio.sleep(2)
        assert b.wire.heard == []


@virtual_time
async def test_a_letter_that_breaks_us_is_not_swallowed() -> None:
    class Broken(Relay):
        async def _read(self, gateway: str) -> None:
            raise ZeroDivisionError(gateway)

    async with opened() as house:
        relay = Broken(house.relay._connection, KEYS, house.hub, house.uplink, house.errands)
        with pytest.raises(ZeroDivisionError):
            await relay.read_mailbox()


@virtual_time
async def test_the_mailbox_that_is_read_changes_with_our_id_and_ends_with_us() -> None:
    read: list[str] = []

    class Noting(Relay):
        async def _read(self, gateway: str) -> None:
            read.append(gateway)
            await asyncio.Event().wait()

    async with opened() as house:
        former = house.uplink.gateway
        relay = Noting(house.relay._connection, KEYS, house.hub, house.uplink, house.errands)
        reading = asyncio.create_task(relay.read_mailbox())
        await settled()
        house.uplink.gateway = "new-id"
        await asyncio.sleep(2)
        assert read == [former, "new-id"]
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


@virtual_time
async def test_requests_before_the_list_are_answered_after_it() -> None:
    async with opened() as house:
        a = await house.connect()
        a.say(make.register("a"), ResourceRequest(device_id="a", requirements=Requirements(cpu=1)))
        await settled()
        (step,) = house.connection.steps
        assert step[5] == f"{a.peer.session_id} {house.uplink.gateway}"
