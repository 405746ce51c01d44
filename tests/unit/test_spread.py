"""Many calls of one function: which travel together, and what becomes of each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rpn.client import chunks
from rpn.client.calls import RemoteTraceback
from rpn.client.refusals import TaskFailed
from rpn.client.spread import AT_ONCE, CHUNK_LIMIT, Chunk, Member, Spread
from rpn.model import Task

pytest.importorskip("cloudpickle")

TASK = Task(id="t", type="python", submitter_id="me")


class Device:
    """Runs every task at once, as long as it is told that its calls take."""

    def __init__(self, function: Callable[..., Any], *, call_s: float = 0.0) -> None:
        self.function = function
        self.call_s = call_s
        self.sizes: list[int] = []
        self.ended: list[Task] = []

    def member(self, *args: Any) -> Member:
        return Member(args, self.ended.append)

    def run(self, members: list[Member]) -> Chunk:
        chunk = Chunk(members, self.ended.append, lambda outcome: outcome)
        chunk.task = TASK
        self.sizes.append(len(members))
        try:
            _, outcomes = chunks.run(self.function, [member.args_ for member in members])
        except KeyboardInterrupt:  # stands for what ends the device's worker
            chunk.refuse(TaskFailed("it ended its process", "EXIT"))
        else:
            chunk.settle((self.call_s * len(members), outcomes))
        return chunk

    def spread(self, members: list[Member], *, size: int = 0) -> None:
        Spread(members, self.run, size=size).run()


def test_short_calls_travel_together_once_the_first_have_told_how_short_they_are() -> None:
    device = Device(lambda number: number * 2)
    members = [device.member(number) for number in range(5000)]
    device.spread(members)
    assert [member.result(0) for member in members] == [2 * number for number in range(5000)]
    assert device.sizes[0] == 1
    assert len(device.sizes) < 200
    assert CHUNK_LIMIT >= max(device.sizes) > 50
    assert device.sizes[-AT_ONCE:] == [1] * AT_ONCE


def test_long_calls_go_alone() -> None:
    device = Device(lambda: None, call_s=10.0)
    members = [device.member() for _ in range(50)]
    device.spread(members)
    assert device.sizes == [1] * 50


def test_a_size_that_was_asked_for_is_kept() -> None:
    device = Device(lambda: None)
    device.spread([device.member() for _ in range(25)], size=10)
    assert device.sizes == [10, 10, 5]


def test_what_one_call_raises_is_its_own() -> None:
    device = Device(lambda number: 1 / number)
    members = [device.member(number) for number in (1, 0, 2)]
    device.spread(members, size=3)
    assert (members[0].result(0), members[2].result(0)) == (1.0, 0.5)
    error = members[1].exception(0)
    assert isinstance(error, ZeroDivisionError)
    assert isinstance(error.__cause__, RemoteTraceback)


def test_calls_whose_task_failed_as_a_whole_go_again_alone() -> None:
    def function(number: int) -> int:
        if number == 3:
            raise KeyboardInterrupt
        return number

    device = Device(function)
    original = chunks.run

    def run(function: Callable[..., Any], calls: Any) -> Any:
        if any(args == (3,) for args in calls):
            raise KeyboardInterrupt
        return original(function, calls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "run", run)
        members = [device.member(number) for number in range(6)]
        device.spread(members, size=6)
    assert device.sizes == [6] + [1] * 6
    assert [member.result(0) for member in members if member is not members[3]] == [0, 1, 2, 4, 5]
    with pytest.raises(TaskFailed, match="ended its process"):
        members[3].result(0)


def test_what_was_cancelled_is_not_sent_and_a_task_that_nobody_wants_is_ended() -> None:
    device = Device(lambda number: number)
    members = [device.member(number) for number in range(4)]
    assert members[0].cancel()
    sent = threading.Event()

    def send(chosen: list[Member]) -> Chunk:
        sent.set()
        chunk = Chunk(chosen, device.ended.append, lambda outcome: outcome)
        chunk.task = TASK
        return chunk

    spread = Spread(members, send, size=4)
    threading.Thread(target=spread.run, daemon=True).start()
    assert sent.wait(10)
    while members[1].chunk is None or members[3].chunk is None:
        threading.Event().wait(0.001)
    assert members[1].chunk.members == members[1:]
    assert [member.cancel() for member in members[1:3]] == [True, True]
    assert device.ended == []
    members[3].changed("running")
    members[3].stop()
    assert device.ended == [TASK]
    members[1].chunk.refuse(TaskFailed("cancelled", "CANCELLED"))
