"""Neighbouring versions work side by side: what the later one adds is out of the way of the one before."""

from __future__ import annotations

import msgspec
import pytest

from rpn.codec import pack, pack_record, unpack_record
from rpn.events import Identity, Kind, Operation, Report, decode_event, pack_operations
from rpn.model import Requirements, Share, TaskState
from rpn.store.records import (
    AllocationRecord,
    CancelEntry,
    DoneEntry,
    ProgressEntry,
    ReconcileEntry,
    ReleaseEntry,
    RequestEntry,
    RequestStreamEntry,
    StartedEntry,
    SubmitEntry,
    TaskLife,
    TaskStreamEntry,
    tag_of,
)

NEED = Requirements(cpu=100)
RECORDS: list[tuple[object, object]] = [
    (RequestEntry("x", "a", "s1 g1", NEED), RequestStreamEntry),
    (ReleaseEntry("a", "x"), RequestStreamEntry),
    (SubmitEntry("a", "t"), TaskStreamEntry),
    (CancelEntry("a", "t"), TaskStreamEntry),
    (StartedEntry("a", "t", "1-1"), TaskStreamEntry),
    (ProgressEntry("a", "t", "1-1", b"{}"), TaskStreamEntry),
    (DoneEntry("a", "t", "1-1", True, b"{}"), TaskStreamEntry),
    (ReconcileEntry("a", "s1", [("t", "1-1")]), TaskStreamEntry),
    (AllocationRecord("x", "a", NEED, [Share("b", "B", 1, 1, 1, False)], 1), AllocationRecord),
    (TaskLife(TaskState.RUNNING, 1), TaskLife),
    (Identity("a", "linux", "10.0.0.1"), Identity),
    (Report(b"{}"), Report),
]


@pytest.mark.parametrize(("record", "kind"), RECORDS, ids=lambda each: type(each).__name__)
def test_a_record_with_a_field_more_is_read_as_if_it_had_none(record: object, kind: type[object]) -> None:
    fields = msgspec.msgpack.decode(pack_record(record))
    assert unpack_record(kind, msgspec.msgpack.encode([*fields, {"new": [1, 2]}])) == record


def test_an_entry_says_what_it_is_whoever_wrote_it() -> None:
    assert tag_of(pack_record(SubmitEntry("a", "t"))) == "submit"
    assert tag_of(msgspec.msgpack.encode(["migrate", 1])) == "migrate"
    assert [tag_of(data) for data in (b"", b"\xc1", b"\x90", b"\x80", b"\x91\x01")] == [""] * 5


def test_an_event_with_more_in_it_is_read_without() -> None:
    heard = Operation(Kind.HEARD, "a")
    more = [heard.packed(), (99, "b", "what is this"), (2, "c", "a field more")]
    event = decode_event(b"7 t6 t7 123 g1 4 2 more and more\n" + pack(more))
    assert (event.rev, event.tip, event.operations) == (7, "t7", [heard])
    assert decode_event(b"7 t6 t7 123 g1 4 \n" + pack_operations([heard])).operations == [heard]
