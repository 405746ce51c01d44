"""A herd goes through a turnstile without holding up anybody else."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import pytest

from gateway.turnstile import TURN_S, Turnstile


class Work:
    """Takes as long as a test says, by a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.done: list[int] = []
        monkeypatch.setattr("gateway.turnstile.perf_counter", lambda: self.now_s)

    def do(self, number: int, cost_s: float = 0.0) -> None:
        self.now_s += cost_s
        self.done.append(number)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


async def test_what_came_first_is_done_first_within_one_turn(work: Work) -> None:
    turnstile = Turnstile()
    for number in range(100):
        turnstile.enter(partial(work.do, number))
    await asyncio.sleep(0)
    assert work.done == list(range(100))


async def test_a_turn_ends_when_its_time_is_over(work: Work) -> None:
    turnstile = Turnstile()
    for number in range(6):
        turnstile.enter(partial(work.do, number, TURN_S / 2))
    for expected in (2, 4, 6):
        await asyncio.sleep(0)
        assert len(work.done) == expected


async def test_while_it_is_held_one_goes_in_a_turn(work: Work) -> None:
    turnstile = Turnstile()
    for number in range(4):
        turnstile.enter(partial(work.do, number))
    for expected in (1, 2):
        turnstile.hold()
        await asyncio.sleep(0)
        assert len(work.done) == expected
    await asyncio.sleep(0)
    assert len(work.done) == 4


async def test_who_comes_in_the_middle_of_a_turn_has_its_own(work: Work) -> None:
    turnstile = Turnstile()
    turnstile.enter(lambda: turnstile.enter(partial(work.do, 1)))
    for _ in range(2):
        await asyncio.sleep(0)
    assert work.done == [1]


async def test_work_that_fails_does_not_keep_the_others(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    turnstile = Turnstile()
    with caplog.at_level(logging.CRITICAL):
        turnstile.enter(lambda: work.do(1 // 0))
        turnstile.enter(partial(work.do, 1))
        await asyncio.sleep(0)
    assert work.done == [1]
