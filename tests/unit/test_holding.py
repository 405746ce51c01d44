"""What becomes of allocations after they were granted, and what their holders and callers are told of it."""

from __future__ import annotations

import json
from typing import Any

from rpn.messages import AllocationUpdate, Error
from rpn.model import DeviceLoad, Requirements
from rpn.settings import SchedulerSettings
from rpn.store.records import Call, HoldersEntry, ReleaseEntry, RenewEntry, RequestEntry
from scheduler.amounts import Amounts
from tests.support.leadership import Leadership
from tests.support.scheduling import CORE, FakeStore, resources


def call(store: FakeStore, name: str, need: Requirements = CORE, **more: Any) -> None:
    """A caller asks for an allocation of this name."""
    fields = {"ttl_ms": 5000, "releases": True, "explains": True, **more}
    store.enter_request(RequestEntry(name, "caller", "", need, call=Call(name, "g1"), **fields))


def told(store: FakeStore, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.call_answers[name])
    return found


def updates(store: FakeStore, device_id: str) -> list[tuple[str, list[str]]]:
    """Each change, and the devices that give something after it."""
    return [
        (each.change, [share.device_id for share in each.allocation.allocated_devices])
        for each in store.messages(device_id)
        if isinstance(each, AllocationUpdate)
    ]


def test_a_caller_holds_for_its_time_wherever_the_device_of_its_name_is(
    store: FakeStore, leads: Leadership
) -> None:
    call(store, "x")
    leads.rounds()
    assert told(store, "x")["expiresAt"] == "1970-01-01T00:16:45.000Z"
    store.join("caller", None, accepts=())
    leads.rounds()
    store.leave("caller", "closed")
    leads.rounds()
    assert "x" in store.allocations
    store.now_ms += 5000
    leads.round()
    assert (store.allocations, store.due) == ({}, {})


def test_the_second_of_one_name_is_the_first_if_it_is_the_same(store: FakeStore, leads: Leadership) -> None:
    call(store, "x")
    leads.rounds()
    first = store.call_answers.pop("x")
    call(store, "x")
    leads.rounds()
    assert store.call_answers.pop("x") == first
    call(store, "x", Requirements(cpu=1))
    leads.rounds()
    assert told(store, "x")["code"] == "REQUEST_CONFLICT"
    assert store.allocations["x"].requirements == CORE


def test_what_is_withdrawn_before_it_was_decided_is_never_granted(
    store: FakeStore, leads: Leadership
) -> None:
    leads.round()
    store.leave("a")
    store.leave("b")
    call(store, "x", Requirements(cpu=300))
    assert leads.round(follow=False)
    store.enter_request(ReleaseEntry("caller", "x", withdraws=True))
    leads.rounds(60)
    assert (store.allocations, store.call_answers, store.requests) == ({}, {}, {})


def test_a_withdrawal_gives_back_what_was_granted_in_the_same_round(
    store: FakeStore, leads: Leadership
) -> None:
    call(store, "x")
    store.enter_request(ReleaseEntry("caller", "x", withdraws=True))
    leads.rounds()
    assert told(store, "x")["allocation"]["fulfilled"]
    assert (store.allocations, store.requests) == ({}, {})


def test_whoever_holds_as_much_as_it_may_is_told_so(store: FakeStore) -> None:
    store.join("a", resources())
    leads = Leadership(store, SchedulerSettings(caller_allocation_limit=1))
    call(store, "x")
    call(store, "y")
    leads.rounds()
    reason = told(store, "y")["reason"]
    assert (reason["code"], reason["devices"], list(store.allocations)) == ("QUOTA", 0, ["x"])


def test_a_dry_run_takes_nothing_not_even_the_place_of_the_oldest(store: FakeStore) -> None:
    store.join("me", None, accepts=())
    store.join("a", resources())
    leads = Leadership(store, SchedulerSettings(allocation_limit=1))
    store.ask("x", "me", CORE)
    presence = store.sessions["me"]
    store.enter_request(RequestEntry("dry", "me", presence, CORE, dry_run=True, explains=True))
    leads.rounds()
    assert (store.answer("dry").dry_run, store.answer("dry").allocation.fulfilled) == (True, True)
    assert list(store.allocations) == ["x"]


def test_a_stranger_can_neither_renew_nor_release(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    before = store.allocations["x"]
    store.enter_request(RenewEntry("sub", "x", 1000, "more"))
    store.enter_request(ReleaseEntry("sub", "x", "less"))
    leads.rounds()
    errors = [each for each in store.messages("sub") if isinstance(each, Error)]
    assert [(each.code, each.request_id) for each in errors] == [("NOT_FOUND", "more"), ("NOT_FOUND", "less")]
    assert store.allocations["x"] == before


def test_a_renewal_moves_the_end_and_a_new_leader_keeps_to_it(store: FakeStore, leads: Leadership) -> None:
    call(store, "x")
    leads.rounds()
    store.enter_request(RenewEntry("", "x", 60_000, call=Call("more", "g1")))
    leads.round()
    assert (told(store, "more")["change"], store.due) == ("renewed", {"allocation:x": store.now_ms + 60_000})
    leads.take_over()
    store.now_ms += 59_000
    leads.rounds()
    assert "x" in store.allocations
    store.now_ms += 1000
    leads.round()
    assert not store.allocations


def test_a_holder_is_told_when_a_caller_ends_what_it_holds(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "sub", CORE, releases=True)
    leads.rounds()
    store.enter_request(ReleaseEntry("", "x", call=Call("end", "g1")))
    leads.rounds()
    assert updates(store, "sub") == [("released", [])]
    assert told(store, "end")["allocation"]["allocatedDevices"] == []


def test_a_lost_share_is_held_elsewhere_whole_or_not_at_all(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "sub", Requirements(cpu=1000, memory=1000), releases=True)
    leads.rounds()
    store.join("c", resources(cores=16))
    leads.round()
    store.leave("a")
    leads.rounds()
    assert updates(store, "sub") == [("replaced", ["b", "c"])]
    assert store.allocations["x"].fulfilled
    store.leave("b")
    store.leave("c")
    leads.rounds()
    assert updates(store, "sub")[1:] == [("reduced", [])]
    assert not store.allocations


def test_a_replacement_that_the_store_skips_is_no_replacement(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "sub", CORE, releases=True)
    leads.rounds()
    store.leave("a")
    leads.follow()
    store.leave("b")
    assert leads.round(follow=False)
    leads.rounds()
    assert updates(store, "sub") == [("reduced", [])]
    assert (store.allocations, leads.matchmaker.ledger.holders("b")) == ({}, {})


def test_who_holds_what_on_a_device_is_told_to_a_caller(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.enter_request(HoldersEntry("a", Call("who", "g1")))
    leads.rounds()
    load = told(store, "who")
    assert load.keys() == set(DeviceLoad.__struct_encode_fields__)
    assert load["allocated"] == {"cpu": 100, "memory": 100, "storage": 0, "gpus": 0}
    assert [each["allocationId"] for each in load["allocations"]] == ["x"]
    assert leads.matchmaker.ledger.offers["a"].free == Amounts(300, 7900, 10_000, 0)
