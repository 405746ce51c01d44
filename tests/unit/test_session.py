"""What a connection may say, in each of its states."""

from __future__ import annotations

from typing import get_args

import pytest

from gateway.session import ALLOWED, Session, State
from rpn.errors import NotAccepted, NotRegistered, RPNError, WrongDevice
from rpn.messages import (
    Ack,
    AllocationRenew,
    FromClient,
    Heartbeat,
    Observe,
    Ping,
    ResourceRelease,
    ResourceRequest,
    TaskCancel,
    TaskDone,
    TaskProgressReport,
    TaskStarted,
    TaskSubmit,
)
from rpn.model import Requirements, Task, TaskResult
from tests.support import make

EVERY: list[FromClient] = [
    make.register(),
    Heartbeat(device_id="a"),
    make.update(),
    ResourceRequest(device_id="a", requirements=Requirements(cpu=1)),
    TaskSubmit(task=Task(id="t", type="compute", submitter_id="a")),
    Observe(),
    Ping(),
    AllocationRenew(allocation_id="x", ttl_s=1),
    ResourceRelease(allocation_id="x"),
    TaskCancel(task_id="t"),
    TaskStarted(task_id="t", attempt="1"),
    TaskProgressReport(task_id="t", attempt="1"),
    TaskDone(task_id="t", attempt="1", result=TaskResult(True)),
    Ack(ids=[]),
]
WORD = {type(message): str(type(message).__struct_config__.tag) for message in EVERY}
FOR_AGENTS = {"task_started", "task_progress", "task_done"}
FOR_DEVICES = set(WORD.values()) - {"observe", "ack"} - FOR_AGENTS


def session(*accepts: str, device_id: str = "a") -> Session:
    found = Session()
    found.enter(make.register(device_id, accepts=frozenset(accepts)))
    return found


def observing() -> Session:
    found = Session()
    found.enter(Observe())
    return found


def admitted(found: Session) -> set[str]:
    """The words that are taken."""
    return {WORD[type(message)] for message in EVERY if refusal(found, message) is None}


def refusal(found: Session, message: FromClient) -> type[RPNError] | None:
    try:
        found.admit(message)
    except RPNError as error:
        return type(error)
    return None


def test_the_table_knows_every_message() -> None:
    assert set(WORD) == set(get_args(FromClient)) == set().union(*ALLOWED.values())


def test_each_state_takes_its_messages_and_no_other() -> None:
    assert admitted(Session()) == {"register", "observe"}
    assert admitted(session()) == FOR_DEVICES
    assert admitted(session("tasks")) == FOR_DEVICES | FOR_AGENTS
    assert admitted(session("acks")) == FOR_DEVICES | {"ack"}
    assert admitted(observing()) == {"observe", "ping"}


def test_what_comes_before_register_is_told_so() -> None:
    refused = {refusal(Session(), each) for each in EVERY if WORD[type(each)] not in ("register", "observe")}
    assert refused == {NotRegistered}


def test_an_extension_must_have_been_asked_for() -> None:
    assert refusal(session(), TaskStarted(task_id="t", attempt="1")) is NotAccepted
    assert refusal(session("tasks"), Ack(ids=["t"])) is NotAccepted


@pytest.mark.parametrize("message", EVERY, ids=lambda message: WORD[type(message)])
def test_a_device_speaks_for_itself_only(message: FromClient) -> None:
    names_a_device = hasattr(message, "device_id") or isinstance(message, TaskSubmit)
    of_another = session("tasks", "acks", device_id="b")
    if names_a_device:
        with pytest.raises(WrongDevice, match="speaks for b"):
            of_another.admit(message)
    elif not isinstance(message, Observe):
        of_another.admit(message)


def test_a_refused_message_changes_nothing() -> None:
    found = session()
    others: list[FromClient] = [make.register("b"), make.heartbeat("b"), Observe()]
    for message in others:
        assert refusal(found, message) is not None
    assert (found.state, found.device_id) == (State.REGISTERED, "a")


def test_registering_again_may_opt_in() -> None:
    found = session()
    assert not found.opted_in
    found.enter(make.register(accepts=frozenset({"tasks"})))
    assert found.opted_in
    assert observing().opted_in
