"""The promises of rpn.store.pool: who speaks for a device, batches applied once, an unbroken chain."""

from __future__ import annotations

import asyncio

import pytest

from rpn.codec import unpack_record
from rpn.errors import StoreUnavailable
from rpn.events import Kind, Operation, unpack_identity
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.pool import SAME, Guarded, InboxItem, PoolStore, Resync
from rpn.store.records import ReconcileEntry
from tests.store.batches import Gateway, heard, identify, join, leave, lose, measurement, report
from tests.store.conftest import Forgetful, Server
from tests.store.listening import Listener


@pytest.fixture
def other(pool: PoolStore) -> Gateway:
    """The gateway g2."""
    return Gateway(pool, "g2")


async def traces(connection: Connection, keys: Keys, device_id: str) -> list[str]:
    """The keys that know of a device."""
    hashes, zsets = [keys.devices, keys.sessions, keys.resources], [keys.seen, keys.lost]
    reads = [("HGET", key, device_id) for key in hashes] + [("ZSCORE", key, device_id) for key in zsets]
    found = await connection.commands(reads)
    return [key for key, value in zip(hashes + zsets, found, strict=True) if value is not None]


# --- who speaks for a device ------------------------------------------------------------------


async def test_who_joins_is_in_the_snapshot(pool: PoolStore, gateway: Gateway) -> None:
    applied = await gateway.send(join("a", name="Anna's", report=measurement("a", 40)))
    snapshot = await pool.snapshot()
    assert snapshot.sessions == {"a": "s1 g1"}
    assert unpack_identity(snapshot.devices["a"]).name == "Anna's"
    assert snapshot.resources == {"a": measurement("a", 40)}
    assert snapshot.seen_ms == {"a": applied.now_ms}
    assert (snapshot.rev, snapshot.lost_ms) == (applied.rev, {})


async def test_an_empty_pool_has_an_empty_snapshot(pool: PoolStore) -> None:
    rev, tip, now_ms, *rest = await pool.snapshot()
    assert (rev, tip, now_ms > 0, rest) == (0, "", True, [{}, {}, {}, {}, {}])


async def test_a_newer_session_supersedes_the_older(
    pool: PoolStore, gateway: Gateway, other: Gateway
) -> None:
    await gateway.join("a", session="old")
    await other.join("a", session="new")
    assert (await pool.snapshot()).sessions == {"a": "new g2"}


@pytest.mark.parametrize("late", [report, heard, lose, leave], ids=lambda make: make.__name__)
async def test_an_old_session_no_longer_speaks_and_is_named(
    pool: PoolStore, gateway: Gateway, other: Gateway, late: type
) -> None:
    await gateway.join("a", "b")
    await other.join("a", session="new")
    before = await pool.snapshot()
    applied = await gateway.send(late("a"), heard("b"))
    after = await pool.snapshot()
    assert applied.skipped == {0}
    assert after.sessions == {"a": "new g2", "b": "s1 g1"}
    assert (after.seen_ms["a"], after.lost_ms, after.resources) == (before.seen_ms["a"], {}, {})


async def test_nobody_speaks_for_a_device_that_never_joined(pool: PoolStore, gateway: Gateway) -> None:
    assert (await gateway.send(report("a"))).skipped == {0}
    assert (await pool.snapshot()).resources == {}


async def test_a_report_replaces_the_one_before(pool: PoolStore, gateway: Gateway) -> None:
    await gateway.join("a")
    await gateway.send(report("a", cpu_usage=10))
    await gateway.send(report("a", cpu_usage=20))
    assert (await pool.snapshot()).resources == {"a": measurement("a", 20)}


async def test_a_session_may_take_another_name(pool: PoolStore, gateway: Gateway) -> None:
    await gateway.join("a")
    await gateway.send(identify("a", "Bea's"))
    snapshot = await pool.snapshot()
    assert unpack_identity(snapshot.devices["a"]).name == "Bea's"
    assert snapshot.sessions == {"a": "s1 g1"}


async def test_who_leaves_leaves_no_trace(connection: Connection, keys: Keys, gateway: Gateway) -> None:
    await gateway.send(join("a", report=measurement("a")))
    await gateway.send(lose("a"))
    assert len(await traces(connection, keys, "a")) == 5
    await gateway.send(leave("a"))
    assert await traces(connection, keys, "a") == []


async def test_who_is_lost_stays_until_it_comes_back(pool: PoolStore, gateway: Gateway) -> None:
    await gateway.send(join("a", report=measurement("a")))
    lost_at_ms = (await gateway.send(lose("a"))).now_ms
    lost = await pool.snapshot()
    assert (lost.sessions, lost.lost_ms) == ({"a": "s1 g1"}, {"a": lost_at_ms})
    await gateway.join("a", session="s2")
    back = await pool.snapshot()
    assert (back.sessions, back.lost_ms, back.resources) == ({"a": "s2 g1"}, {}, lost.resources)


# --- joins made under a condition -------------------------------------------------------------


async def test_a_join_that_comes_too_late_is_skipped(pool: PoolStore, gateway: Gateway) -> None:
    now_ms = (await gateway.send()).now_ms
    applied = await gateway.send(join("late", until_ms=now_ms - 1), join("early", until_ms=now_ms + 60_000))
    assert applied.skipped == {0}
    assert (await pool.snapshot()).sessions.keys() == {"early"}


async def test_a_join_made_again_takes_over_from_nobody_else(
    pool: PoolStore, gateway: Gateway, other: Gateway
) -> None:
    await gateway.join("mine", "taken", session="s1")
    await gateway.join("taken", session="s2")
    again = [join(each, "s1", gateway="g2", expected=SAME) for each in ("mine", "taken", "gone")]
    assert (await other.send(*again)).skipped == {1}
    assert (await pool.snapshot()).sessions == {"mine": "s1 g2", "taken": "s2 g1", "gone": "s1 g2"}


async def test_what_a_device_runs_is_told_to_the_scheduler_once(
    connection: Connection, keys: Keys, gateway: Gateway
) -> None:
    now_ms = (await gateway.send()).now_ms
    entry = ReconcileEntry("a", "s1", [("task", "attempt")])
    late = ReconcileEntry("b", "s1", [])
    await gateway.send(join("a", entries=(entry,)), join("b", entries=(late,), until_ms=now_ms - 1))
    await gateway.send_again()
    found = await connection.command("XRANGE", keys.tasks, "-", "+")
    assert [unpack_record(ReconcileEntry, fields[b"e"]) for _, fields in found] == [entry]


# --- inboxes ----------------------------------------------------------------------------------


async def fill_inbox(connection: Connection, key: str, **frames: bytes) -> None:
    for name, frame in frames.items():
        await connection.command("HSET", key, name, frame)
    await connection.command("PEXPIRE", key, 60_000)


async def test_what_waits_for_a_device_comes_with_its_join(
    connection: Connection, keys: Keys, gateway: Gateway
) -> None:
    await fill_inbox(connection, keys.inbox("b"), one=b"first", two=b"second")
    applied = await gateway.join("a", "b")
    assert applied.inboxes == {1: [InboxItem("one", b"first"), InboxItem("two", b"second")]}
    assert (await gateway.send_again()).inboxes == applied.inboxes


async def test_a_skipped_join_brings_nothing(connection: Connection, keys: Keys, gateway: Gateway) -> None:
    await fill_inbox(connection, keys.inbox("a"), one=b"first")
    await gateway.join("a", session="s2")
    assert (await gateway.send(join("a", "s1", expected=SAME))).inboxes == {}
    assert (await gateway.send_again()).inboxes == {}


# --- batches ----------------------------------------------------------------------------------


async def test_a_batch_sent_again_is_answered_and_not_applied(
    pool: PoolStore, gateway: Gateway, other: Gateway, listener: Listener
) -> None:
    await other.join("b", session="new")
    first = await gateway.send(join("a"), heard("b"))
    await other.join("a", session="new")
    events = await listener.heard()
    again = await gateway.send_again()
    assert again._replace(now_ms=0) == first._replace(now_ms=0)
    assert (len(events), await listener.heard()) == (3, [])
    assert (await pool.snapshot()).sessions == {"a": "new g2", "b": "new g2"}


async def test_a_batch_whose_reply_was_lost_is_applied_once(
    forgetful: Forgetful, keys: Keys, listener: Listener
) -> None:
    gateway = Gateway(PoolStore(forgetful, keys))
    forgetful.lost_next = 1
    with pytest.raises(StoreUnavailable):
        await gateway.join("a")
    assert (await gateway.send_again()).rev == 1
    assert [event.rev for event in await listener.heard()] == [1]


async def test_a_batch_is_applied_once_although_the_server_forgot_the_script(
    connection: Connection, gateway: Gateway, listener: Listener
) -> None:
    await connection.command("SCRIPT", "FLUSH")
    first = await gateway.join("a")
    await connection.command("SCRIPT", "FLUSH")
    assert (await gateway.send_again()).rev == first.rev
    assert len(await listener.heard()) == 1


@pytest.mark.parametrize("number", [0, 1, 4, 99])
async def test_a_batch_out_of_order_is_refused(pool: PoolStore, gateway: Gateway, number: int) -> None:
    await gateway.join("a")
    await gateway.send()
    gateway.number = number - 1
    with pytest.raises(Resync):
        await gateway.join("b")
    assert (await pool.snapshot()).sessions.keys() == {"a"}


async def test_a_gateway_begins_with_its_first_batch(gateway: Gateway) -> None:
    gateway.number = 1
    with pytest.raises(Resync):
        await gateway.join("a")


async def test_a_gateway_whose_lease_was_swept_is_refused(
    connection: Connection, keys: Keys, pool: PoolStore, gateway: Gateway
) -> None:
    await gateway.join("a")
    await connection.command("ZREM", keys.gateways, gateway.name)
    for attempt in (gateway.send_again(), gateway.send(leave("a"))):
        with pytest.raises(Resync):
            await attempt
    assert (await pool.snapshot()).sessions.keys() == {"a"}


async def test_an_empty_batch_renews_the_lease_and_tells_nobody(
    connection: Connection, keys: Keys, pool: PoolStore, gateway: Gateway, listener: Listener
) -> None:
    await gateway.join("a")
    before = await pool.snapshot()
    await connection.command("ZADD", keys.gateways, 1, gateway.name)
    applied = await gateway.send()
    assert float(await connection.command("ZSCORE", keys.gateways, gateway.name)) > applied.now_ms
    assert len(await listener.heard()) == 1
    assert (await pool.snapshot())._replace(now_ms=0) == before._replace(now_ms=0)


async def test_a_batch_that_changes_nothing_tells_nobody(gateway: Gateway, listener: Listener) -> None:
    assert (await gateway.send(heard("nobody"))).skipped == {0}
    assert await listener.heard() == []


async def test_a_gateway_that_goes_in_good_order_is_forgotten(
    connection: Connection, keys: Keys, pool: PoolStore, gateway: Gateway
) -> None:
    await gateway.send()
    await connection.command("XADD", keys.mailbox("g1"), "*", "m", "letter")
    await pool.forget_gateway("g1")
    assert await connection.command("EXISTS", keys.mailbox("g1"), keys.gateways, keys.batches) == 0


async def test_a_large_batch_is_one_step(pool: PoolStore, gateway: Gateway) -> None:
    names = [f"device-{number}" for number in range(1000)]
    await gateway.send(*(join(name, report=measurement(name)) for name in names))
    snapshot = await pool.snapshot()
    assert (snapshot.rev, len(snapshot.resources)) == (1, 1000)


# --- events -----------------------------------------------------------------------------------


async def test_an_event_says_what_was_done_and_by_whom(gateway: Gateway, listener: Listener) -> None:
    applied = await gateway.send(join("a"), report("nobody"), join("b"))
    [event] = await listener.heard()
    assert [operation.device_id for operation in event.operations] == ["a", "b"]
    assert (event.rev, event.now_ms, event.source, event.batch) == (1, applied.now_ms, "g1", 1)


async def test_every_kind_of_operation_is_told(gateway: Gateway, listener: Listener) -> None:
    await gateway.join("a")
    await gateway.send(report("a", cpu_usage=7))
    for each in (heard("a"), identify("a", "Bea's"), lose("a"), leave("a")):
        await gateway.send(each)
    operations = [operation for event in await listener.heard() for operation in event.operations]
    assert [operation.kind for operation in operations] == list(Kind)
    assert operations[1].report == measurement("a", 7)
    assert unpack_identity(operations[3].identity).name == "Bea's"
    assert [operation.reason for operation in operations[4:]] == ["cut", "closed"]


async def test_the_latest_of_several_reports_is_kept_and_all_are_told(
    pool: PoolStore, gateway: Gateway, listener: Listener
) -> None:
    await gateway.join("a")
    one, two, three = (measurement("a", each) for each in (1, 2, 3))
    await gateway.send(Guarded(Operation(Kind.REPORT, "a", report=three, earlier=(one, two)), "s1 g1"))
    _, event = await listener.heard()
    [told] = event.operations
    assert (*told.earlier, told.report) == (one, two, three)
    assert (await pool.snapshot()).resources == {"a": three}


async def test_the_chain_of_events_is_unbroken_over_many_writers(pool: PoolStore, listener: Listener) -> None:
    async def write(gateway: Gateway) -> None:
        for number in range(10):
            await gateway.join(f"{gateway.name}-{number}")

    await asyncio.gather(*(write(Gateway(pool, f"g{number}")) for number in range(8)))
    events = await listener.heard()
    assert [event.rev for event in events] == list(range(1, 81))
    assert [event.prev for event in events] == ["", *(event.tip for event in events[:-1])]
    assert (await pool.snapshot()).tip == events[-1].tip


# --- what the disk is told -----------------------------------------------------------------------


async def aof_bytes(connection: Connection) -> int:
    """How much the server has written down since it began."""
    return int((await connection.command("INFO", "persistence"))["aof_current_size"])


async def test_what_devices_measure_waits_for_no_disk(own_server: Server, pool_name: str, keys: Keys) -> None:
    connection = Connection(own_server.url, pool=pool_name)
    await connection.command("CONFIG", "SET", "appendfsync", "always")
    pool = PoolStore(connection, keys)
    gateway = Gateway(pool)
    await gateway.join("a", "b")
    before = await aof_bytes(connection)
    await gateway.send(report("a", cpu_usage=50), heard("b"))
    await gateway.send()
    assert await aof_bytes(connection) == before
    assert (await pool.snapshot()).resources == {"a": measurement("a", 50)}
    await gateway.send(report("a", cpu_usage=60), identify("b", "Bea's"))
    assert await aof_bytes(connection) > before, "who somebody is must last"
    await connection.close()
