"""Tasks without an outcome: sent once each, again after a cut, and no more at a time than the window."""

from __future__ import annotations

from rpn.client.outstanding import Outstanding
from rpn.messages import Message, TaskCancel, TaskSubmit
from rpn.model import Task


class Waiter:
    """Claims a task and notes nothing."""

    def __init__(self, task_id: str) -> None:
        self.task = Task(id=task_id, type="compute", submitter_id="me")

    def changed(self, state: str) -> None: ...

    def told(self, progress: float | None, log: str | None) -> None: ...

    def settle(self, outcome: object) -> None: ...

    def refuse(self, error: Exception) -> None: ...


def ids(messages: list[Message]) -> list[str]:
    return [each.task.id for each in messages if isinstance(each, TaskSubmit)]


def three(window: int) -> Outstanding:
    outstanding = Outstanding(window)
    for name in "abc":
        outstanding.add(Waiter(name))
    return outstanding


def test_each_task_is_sent_for_the_first_time_once() -> None:
    outstanding = three(window=10)
    assert ids(outstanding.due()) == ["a", "b", "c"]
    assert outstanding.due() == []


def test_what_exceeds_the_window_waits_for_an_outcome() -> None:
    outstanding = three(window=2)
    assert ids(outstanding.due()) == ["a", "b"]
    assert outstanding.ended("a") is not None
    assert ids(outstanding.due()) == ["c"]


def test_after_a_lost_connection_all_that_was_sent_is_sent_again() -> None:
    outstanding = three(window=2)
    outstanding.due()
    assert ids(outstanding.again()) == ["a", "b"]


def test_a_cancel_is_said_again_until_the_outcome_is_known() -> None:
    outstanding = three(window=10)
    outstanding.due()
    assert outstanding.cancel("a") == TaskCancel(task_id="a")
    assert TaskCancel(task_id="a") in outstanding.again()
    outstanding.ended("a")
    assert TaskCancel(task_id="a") not in outstanding.again()


def test_a_task_cancelled_before_it_was_sent_is_never_sent() -> None:
    outstanding = three(window=2)
    outstanding.due()
    assert outstanding.cancel("c") is None
    outstanding.ended("a")
    assert outstanding.due() == []


def test_an_outcome_nobody_waits_for_is_nobodys() -> None:
    assert three(window=2).ended("z") is None
