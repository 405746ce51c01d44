"""What a batch changed, as it goes over the channel of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpn.events import (
    Identity,
    Kind,
    Operation,
    Report,
    decode_event,
    pack_identity,
    pack_operations,
    pack_report,
    unpack_identity,
    unpack_report,
)
from rpn.model import PoolUsage

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
packed = st.binary(max_size=40)
nothing = st.just(b"")
said = {
    Kind.JOIN: (names, names, packed, packed, st.just(""), st.just(())),
    Kind.REPORT: (st.just(""), st.just(""), nothing, packed, st.just(""), st.lists(packed).map(tuple)),
    Kind.HEARD: (st.just(""), st.just(""), nothing, nothing, st.just(""), st.just(())),
    Kind.IDENTIFY: (st.just(""), st.just(""), packed, nothing, st.just(""), st.just(())),
    Kind.LOSE: (names, st.just(""), nothing, nothing, names, st.just(())),
    Kind.LEAVE: (names, st.just(""), nothing, nothing, names, st.just(())),
}
"""session, gateway, identity, report, reason and earlier reports of each kind"""
operations = st.one_of(
    [st.tuples(st.just(kind), names, *rest).map(Operation._make) for kind, rest in said.items()]
)


def event(batch: list[Operation], *, skipped: str = "") -> bytes:
    """As the script publishes it."""
    return f"7 before after 1760956200000 gate 3 {skipped}\n".encode() + pack_operations(batch)


@given(st.lists(operations, max_size=8))
def test_every_operation_arrives_as_it_was_sent(batch: list[Operation]) -> None:
    assert decode_event(event(batch)).operations == batch


def test_an_event_says_where_it_stands_in_the_chain() -> None:
    found = decode_event(event([]))
    assert (found.rev, found.prev, found.tip, found.now_ms) == (7, "before", "after", 1760956200000)
    assert (found.source, found.batch) == ("gate", 3)


def test_the_first_event_of_a_pool_follows_nothing() -> None:
    assert decode_event(b"1  first 5 - 0 \n" + pack_operations([])).prev == ""


def test_skipped_operations_did_not_happen() -> None:
    batch = [Operation(Kind.HEARD, device_id) for device_id in "abc"]
    found = decode_event(event(batch, skipped="0,2"))
    assert [operation.device_id for operation in found.operations] == ["b"]


def test_a_payload_may_hold_new_lines() -> None:
    batch = [Operation(Kind.REPORT, "a\nb", report=b"\n\n")]
    assert decode_event(event(batch)).operations == batch


def test_identities_and_reports_stand_in_the_store_as_they_were() -> None:
    identity = Identity("A", "linux", "10.0.0.1", {"zone": "x"}, ["tasks"])
    assert unpack_identity(pack_identity(identity)) == identity
    report = Report(b"{}", PoolUsage(cpu=50))
    assert unpack_report(pack_report(report)) == report
