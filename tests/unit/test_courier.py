"""Messages find their receivers, also those that have just moved."""

from __future__ import annotations

import pytest

from rpn.events import Identity
from rpn.messages import TaskCancelled
from rpn.replica import Mirrored
from rpn.store.commits import Decision, Delivery
from scheduler.courier import HOLD_LIMIT_MS, Courier
from scheduler.docket import Docket

MESSAGE = TaskCancelled(task_id="t", attempt="1-1")


class Post:
    """A courier with the devices it knows and what it sends by itself."""

    def __init__(self) -> None:
        self.devices: dict[str, Mirrored] = {}
        self.docket = Docket()
        self.courier = Courier(self.devices, self.docket)

    def join(self, session: str) -> Mirrored:
        self.devices["a"] = Mirrored("a", Identity("A", "linux", "127.0.0.1"), session, "g")
        return self.devices["a"]

    def sent(self) -> list[str]:
        return [each.presence for item in self.docket.collect() for each in item.decision.deliveries]

    def brought(self) -> Delivery:
        decision = Decision()
        self.courier.bring(decision, "a", MESSAGE, inbox_id="x")
        return decision.deliveries[0]


@pytest.fixture
def post() -> Post:
    return Post()


def test_what_may_be_lost_is_not_sent_to_who_is_not_there(post: Post) -> None:
    decision = Decision()
    post.courier.tell(decision, "a", MESSAGE)
    assert not decision.deliveries
    post.join("s1")
    post.courier.tell(decision, "a", MESSAGE)
    assert [(each.presence, each.inbox_id) for each in decision.deliveries] == [("s1 g", "")]


def test_what_must_arrive_goes_to_the_inbox_of_who_is_not_there(post: Post) -> None:
    assert (post.brought().presence, post.brought().inbox_id) == ("", "x")


def test_a_receiver_that_has_moved_gets_it_where_it_is_now(post: Post) -> None:
    post.join("s1")
    delivery = post.brought()
    post.join("s2")
    post.courier.moved(delivery, 0)
    assert post.sent() == ["s2 g"]


def test_a_receiver_that_turns_up_gets_what_was_held(post: Post) -> None:
    post.courier.moved(post.brought(), 0)
    assert post.sent() == []
    device = post.join("s1")
    post.courier.arrived(device, 10)
    post.courier.arrived(device, 20)
    assert post.sent() == ["s1 g"]


def test_who_comes_late_finds_it_in_the_inbox(post: Post) -> None:
    post.courier.moved(post.brought(), 0)
    post.courier.forget_old(HOLD_LIMIT_MS + 1)
    post.courier.arrived(post.join("s1"), HOLD_LIMIT_MS + 1)
    assert post.sent() == []


def test_what_may_be_lost_is_not_held(post: Post) -> None:
    post.courier.moved(Delivery("a", "s0 g", b"{}"), 0)
    post.courier.arrived(post.join("s1"), 1)
    assert post.sent() == []
