"""A mirror fed with events is what a snapshot would have shown, whatever was lost on the way."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpn.events import Event, Identity, Kind, Operation, Report, pack_identity, pack_report
from rpn.messages import ResourceChanged
from rpn.model import Amount, PoolTotals
from rpn.replica import Gap, Replica, Snapshot, What, iso, total
from tests.support import make
from tests.support.pool import StoreModel


def identity(name: str = "A") -> bytes:
    return pack_identity(Identity(name, "linux", "10.0.0.1"))


def report(device_id: str = "a", **changed: Any) -> bytes:
    changed_to = ResourceChanged(device_id=device_id, resources=make.resources(**changed))
    return pack_report(Report(msgspec.json.encode(changed_to)))


def join(device_id: str = "a", session: str = "s1", name: str = "A", reported: bytes = b"") -> Operation:
    return Operation(Kind.JOIN, device_id, session, "g", identity(name), reported)


def state(replica: Replica) -> dict[str, Any]:
    """Everything a mirror shows."""
    return {
        each.id: (each.device, each.presence, each.identity, each.frame, each.json)
        for each in replica.devices.values()
    }


def loaded(store: StoreModel) -> Replica:
    replica = Replica()
    replica.load(store.snapshot())
    return replica


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[str, str, int]]]:
    """Batches of (what, device, number); at most one operation a device and batch."""
    kinds = st.sampled_from(["join", "report", "heard", "identify", "lose", "leave"])
    step = st.tuples(kinds, st.sampled_from("abc"), st.integers(0, 3))
    return draw(st.lists(st.lists(step, max_size=3, unique_by=lambda each: each[1]), max_size=12))


def operation(store: StoreModel, what: str, device_id: str, number: int) -> Operation | None:
    """What the script would let through: only joins for a device that is not there."""
    if what == "join":
        reported = report(device_id, cpu_usage=number) if number > 1 else b""
        return join(device_id, f"session-{number}", f"name-{number}", reported)
    session = store.sessions.get(device_id, "").partition(" ")[0]
    if not session:
        return None
    match what:
        case "report":
            return Operation(Kind.REPORT, device_id, report=report(device_id, cpu_usage=number / 3))
        case "heard":
            return Operation(Kind.HEARD, device_id)
        case "identify":
            return Operation(Kind.IDENTIFY, device_id, identity=identity(f"name-{number}"))
        case "lose":
            return Operation(Kind.LOSE, device_id, session, reason="cut")
    return Operation(Kind.LEAVE, device_id, session, reason="closed")


def played(history: list[list[tuple[str, str, int]]]) -> tuple[StoreModel, list[tuple[Event, Snapshot]]]:
    """The store after a history, and after each batch the event and the snapshot of that moment."""
    store = StoreModel()
    moments: list[tuple[Event, Snapshot]] = []
    for batch in history:
        operations = [each for each in (operation(store, *step) for step in batch) if each is not None]
        moments.append((store.apply(*operations), store.snapshot()))
    return store, moments


@given(histories())
def test_a_mirror_fed_with_every_event_is_what_a_snapshot_shows(history: Any) -> None:
    store, moments = played(history)
    replica = Replica()
    for event, _ in moments:
        replica.apply(event)
    assert state(replica) == state(loaded(store))
    assert replica.totals == loaded(store).totals
    assert (replica.rev, replica.tip) == (store.rev, store.tip)


@settings(max_examples=200)
@given(histories(), st.data())
def test_a_mirror_that_missed_some_is_mended_by_a_snapshot(history: Any, data: st.DataObject) -> None:
    store, moments = played(history)
    replica = Replica()
    for event, snapshot in moments:
        arrives = data.draw(st.sampled_from(["once", "twice", "never"]))
        for _ in range({"once": 1, "twice": 2, "never": 0}[arrives]):
            try:
                replica.apply(event)
            except Gap:
                replica.load(snapshot)
        assert replica.totals == total([each.resources for each in replica.devices.values()])
    replica.load(store.snapshot())
    assert state(replica) == state(loaded(store))


@given(histories())
def test_an_old_event_changes_nothing(history: Any) -> None:
    _, moments = played(history)
    replica = Replica()
    for event, _ in moments:
        replica.apply(event)
        shown = state(replica)
        assert replica.apply(event) == []
        assert state(replica) == shown


def test_a_lost_event_is_noticed_at_the_next() -> None:
    store, replica = StoreModel(), Replica()
    replica.apply(store.apply(join("a")))
    store.apply(join("b"))
    with pytest.raises(Gap, match="at 1, got 3"):
        replica.apply(store.apply(join("c")))
    assert list(replica.devices) == ["a"], "nothing of it was taken over"


def test_a_snapshot_counts_even_if_it_is_older() -> None:
    store, replica = StoreModel(), Replica()
    store.apply(join("a"))
    before = store.snapshot()
    replica.load(store.snapshot())
    replica.apply(store.apply(join("b")))
    replica.load(before)
    assert list(replica.devices) == ["a"]


def test_the_totals_are_those_of_the_snapshot_also_at_the_same_revision() -> None:
    here, there, replica = StoreModel(), StoreModel(), Replica()
    here.apply(join("a"))
    there.apply(join("b", reported=report("b")))
    replica.load(here.snapshot())
    assert replica.totals.total_cpu_cores == 0
    replica.load(there.snapshot())
    assert replica.totals.total_cpu_cores == 8


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        (Operation(Kind.REPORT, "a", report=report(cpu_usage=9)), What.REPORTED),
        (Operation(Kind.IDENTIFY, "a", identity=identity("B")), What.RENAMED),
        (Operation(Kind.LOSE, "a", "s1"), What.LOST),
        (Operation(Kind.LEAVE, "a", "s1", reason="closed"), What.LEFT),
        (join("a", "s2"), What.RESUMED),
        (join("b"), What.JOINED),
    ],
)
def test_each_event_says_what_it_changed(operation: Operation, what: What) -> None:
    store, replica = StoreModel(), Replica()
    replica.apply(store.apply(join("a")))
    changes = replica.apply(store.apply(operation))
    assert [change.what for change in changes] == [what]


def test_being_heard_is_no_news() -> None:
    store, replica = StoreModel(), Replica()
    replica.apply(store.apply(join("a")))
    assert replica.apply(store.apply(Operation(Kind.HEARD, "a"))) == []
    assert replica.devices["a"].device.last_seen == iso(2000)


def test_a_newer_session_names_the_older_one() -> None:
    store, replica = StoreModel(), Replica()
    replica.apply(store.apply(join("a", "old")))
    (change,) = replica.apply(store.apply(join("a", "new", "B")))
    assert (change.old_session, change.renamed) == ("old", True)
    (change,) = replica.apply(store.apply(join("a", "new", "B")))
    assert (change.old_session, change.renamed) == ("", False)


def test_a_snapshot_tells_who_came_and_went_meanwhile() -> None:
    store = StoreModel()
    store.apply(join("a"), join("b"))
    replica = loaded(store)
    store.apply(Operation(Kind.LEAVE, "a", "s1"), join("c"))
    changes = replica.load(store.snapshot())
    assert [(change.what, change.device.id) for change in changes] == [(What.LEFT, "a"), (What.JOINED, "c")]
    assert replica.load(store.snapshot()) == []


def test_a_report_that_a_crash_took_from_the_store_is_still_known_here() -> None:
    store = StoreModel()
    store.apply(join("a"))
    as_written_down = store.snapshot()
    replica = loaded(store)
    replica.apply(store.apply(Operation(Kind.REPORT, "a", report=report("a", cpu_usage=50))))
    shown = state(replica)
    assert replica.load(as_written_down) == []
    assert state(replica) == shown


def test_a_lost_device_is_shown_as_offline_until_it_is_back() -> None:
    store, replica = StoreModel(), Replica()
    replica.apply(store.apply(join("a")))
    replica.apply(store.apply(Operation(Kind.LOSE, "a", "s1")))
    assert b'"isOnline":false' in replica.devices_json
    replica.apply(store.apply(join("a", "s2")))
    assert b'"isOnline":true' in replica.devices_json


def test_devices_stand_in_the_order_in_which_they_joined() -> None:
    store, replica = StoreModel(), Replica()
    for device_id in "cab":
        replica.apply(store.apply(join(device_id)))
    replica.apply(store.apply(join("c", "s2")))
    assert [each["id"] for each in msgspec.json.decode(replica.devices_json)] == ["c", "a", "b"]


numbers = st.integers(0, 2**53) | st.floats(0, 1e12)


@given(st.lists(numbers, max_size=20))
def test_sums_are_exact(values: list[Amount]) -> None:
    found = total([make.resources(memory_available=value) for value in values]).total_memory_available
    assert found == float(sum(map(Fraction, values))) or found == sum(map(Fraction, values))


def test_a_sum_of_whole_numbers_is_one() -> None:
    rows = [make.resources(cpu_cores=4, has_gpu=True), make.resources(cpu_cores=8, cpu_available=54.5)]
    found = total(rows)
    assert (found.total_cpu_cores, type(found.total_cpu_cores)) == (12, int)
    assert (found.total_cpu_available, found.total_gpus, found.devices) == (154.5, 1, 2)
    assert total([]) == PoolTotals()


def test_times_are_told_in_utc_with_milliseconds() -> None:
    assert iso(1760956200000) == "2025-10-20T10:30:00.000Z"
    assert iso(1760956200007) == "2025-10-20T10:30:00.007Z"
