"""What becomes of requests, over a store in memory that skips as the real one does."""

from __future__ import annotations

import pytest

from rpn.messages import ResourceAllocation
from rpn.model import Requirements
from rpn.settings import SchedulerSettings
from rpn.store.records import ReleaseEntry, RequestEntry
from tests.support.leadership import Leadership
from tests.support.scheduling import CORE, FakeStore, resources


def test_a_request_is_answered_once_with_its_share_reserved(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    answer = store.answer("x")
    assert answer.request_id == "r-x"
    assert answer.allocation.fulfilled
    assert answer.allocation.requesting_device == "me"
    assert [share.device_id for share in answer.allocation.allocated_devices] == ["a"]
    assert store.allocations["x"].shares == answer.allocation.allocated_devices
    assert ("me", "allocation:x") in store.inbox
    assert not store.requests


def test_what_does_not_fit_is_refused_and_holds_nothing(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", Requirements(cpu=100, gpu=True))
    leads.rounds()
    answer = store.answer("x").allocation
    assert (answer.fulfilled, answer.allocated_devices, store.allocations) == (False, [], {})


def test_requests_at_the_same_time_share_what_there_is(store: FakeStore, leads: Leadership) -> None:
    for number in range(5):
        store.ask(f"x{number}", "me", Requirements(cpu=400, memory=10))
    leads.rounds()
    assert sum(answer.allocation.fulfilled for answer in store.answers) == 3
    assert len(store.answers) == 5


def test_a_device_that_moved_on_is_placed_upon_again(store: FakeStore, leads: Leadership) -> None:
    leads.round()
    store.leave("a")
    store.ask("x", "me", CORE)
    assert leads.round(follow=False)
    assert not store.answers
    leads.rounds()
    assert store.answer("x").allocation.allocated_devices[0].device_id == "b"


def test_a_requester_the_mirror_does_not_know_yet_is_served(store: FakeStore, leads: Leadership) -> None:
    store.join("new", None, accepts=())
    store.ask("x", "new", CORE)
    leads.round(follow=False)
    assert store.answer("x").allocation.fulfilled


def test_a_requester_that_is_gone_gets_nothing_reserved(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    store.leave("me")
    leads.rounds(60)
    assert (store.answers, store.allocations, store.requests) == ([], {}, {})
    assert leads.counts.requests_dropped == 1


def test_a_request_is_not_refused_for_a_device_that_the_mirror_is_about_to_learn_of(
    store: FakeStore, leads: Leadership
) -> None:
    store.join("c", resources(gpu=True))
    entry = RequestEntry("x", "me", store.sessions["me"], Requirements(cpu=100, gpu=True))
    store.requests[f"{store.now_ms}-0"] = entry
    leads.round(follow=False)
    assert not store.answers
    leads.rounds(2)
    assert store.answer("x").allocation.fulfilled


def test_only_the_requester_can_release(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.enter_request(ReleaseEntry("sub", "x"))
    leads.rounds()
    assert "x" in store.allocations
    store.enter_request(ReleaseEntry("me", "x"))
    leads.rounds()
    assert not store.allocations
    assert not store.requests


def test_a_plain_client_at_its_limit_lets_its_oldest_go(store: FakeStore) -> None:
    store.join("me", None, accepts=())
    store.join("a", resources())
    leads = Leadership(store, SchedulerSettings(allocation_limit=2))
    for name in ("x1", "x2", "x3"):
        store.ask(name, "me", CORE)
        leads.rounds()
    assert list(store.allocations) == ["x2", "x3"]


def test_a_client_that_can_release_is_refused_at_its_limit(store: FakeStore) -> None:
    store.join("me", None, accepts=("acks",))
    store.join("a", resources())
    leads = Leadership(store, SchedulerSettings(allocation_limit=1))
    store.ask("x1", "me", CORE, releases=True)
    store.ask("x2", "me", CORE, releases=True)
    leads.rounds()
    assert list(store.allocations) == ["x1"]
    assert not store.answer("x2").allocation.fulfilled


def test_a_requester_that_closes_frees_at_once(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.leave("me", "closed")
    leads.round()
    assert not store.allocations
    assert not store.due


@pytest.mark.parametrize("reason", ["cut", "silent", ""])
def test_a_requester_that_was_cut_has_a_grace(store: FakeStore, leads: Leadership, reason: str) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.leave("me", reason)
    leads.round()
    store.now_ms += 29_000
    leads.round()
    assert "x" in store.allocations
    store.now_ms += 1_000
    leads.rounds()
    assert not store.allocations
    assert not store.due


def test_a_requester_that_comes_back_in_time_keeps_what_it_holds(store: FakeStore, leads: Leadership) -> None:
    store.ask("x", "me", CORE)
    leads.rounds()
    store.leave("me")
    leads.round()
    store.join("me", None, accepts=())
    leads.rounds()
    store.now_ms += 60_000
    leads.rounds()
    assert "x" in store.allocations
    assert not store.due


def test_a_share_goes_with_its_device_and_an_empty_allocation_with_its_last(
    store: FakeStore, leads: Leadership
) -> None:
    store.ask("x", "me", Requirements(cpu=1000, memory=1000))
    leads.rounds()
    assert len(store.allocations["x"].shares) == 2
    store.leave("a")
    leads.round()
    assert [share.device_id for share in store.allocations["x"].shares] == ["b"]
    store.leave("b")
    leads.round()
    assert not store.allocations


def test_an_answer_that_found_nobody_is_sent_when_its_receiver_turns_up(
    store: FakeStore, leads: Leadership
) -> None:
    leads.round()
    store.ask("x", "me", Requirements(cpu=100, gpu=True))
    store.join("me", None, accepts=())
    leads.round(follow=False)
    assert not store.messages("me")
    leads.rounds()
    assert [type(each) for each in store.messages("me")] == [ResourceAllocation]


def test_a_requester_that_the_mirror_never_sees_holds_nothing_for_ever(
    store: FakeStore, leads: Leadership
) -> None:
    store.join("new", None, accepts=())
    store.ask("x", "new", CORE)
    leads.round(follow=False)
    store.now_ms += 30_000
    leads.round(follow=False)
    assert not store.allocations
