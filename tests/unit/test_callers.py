"""Whoever waits for the scheduler gets the answer by letter or by key, or leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gateway.callers import Callers
from gateway.errands import Answered, Errands
from rpn.errors import NoAnswer, RequestConflict, RPNError, StoreUnavailable
from rpn.store.calls import Calls, Entered
from rpn.store.steps import Step
from tests.support.clock import virtual_time

ASKED = cast("Step[Entered]", "asked")
WITHDRAWN = cast("Step[Any]", "withdrawn")
NEW = Entered(False, b"")


class FakeErrands:
    """Runs steps when a test says so."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, Answered]] = []
        self.refuses: RPNError | None = None

    def enter(self, step: Any, answered: Answered) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.steps.append((step, answered))

    def run(self, answer: Any = NEW) -> list[Any]:
        """All that wait have this answer; which these were."""
        steps, self.steps = self.steps, []
        for _, answered in steps:
            answered(answer)
        return [step for step, _ in steps]


class FakeCalls:
    """What the keys hold."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.away = False

    async def answer(self, call_id: str) -> bytes:
        if self.away:
            raise StoreUnavailable("away")
        return self.answers.get(call_id, b"")


class Desk:
    def __init__(self) -> None:
        self.errands, self.calls = FakeErrands(), FakeCalls()
        self.callers = Callers(
            cast("Calls", self.calls), cast("Errands", self.errands), lambda: "g", limit_s=5
        )

    def ask(self, call_id: str = "c", *, withdraw: bool = False) -> asyncio.Task[bytes]:
        asking = self.callers.ask(
            call_id, lambda call: ASKED, withdraw=(lambda: WITHDRAWN) if withdraw else None
        )
        return asyncio.ensure_future(asking)


@asynccontextmanager
async def opened() -> AsyncIterator[Desk]:
    desk = Desk()
    running = asyncio.ensure_future(desk.callers.run())
    yield desk
    running.cancel()


@virtual_time
async def test_a_letter_answers_everybody_who_asked_under_its_id() -> None:
    async with opened() as desk:
        asking = [desk.ask(), desk.ask(), desk.ask("other")]
        await asyncio.sleep(0.1)
        desk.errands.run()
        desk.callers.answered("c", b"yes")
        desk.callers.answered("nobody", b"no")
        assert await asking[0] == await asking[1] == b"yes"
        assert not asking[2].done()
        asking[2].cancel()


@virtual_time
async def test_a_letter_that_was_lost_is_made_up_for_by_the_key() -> None:
    async with opened() as desk:
        asking = desk.ask()
        await asyncio.sleep(1.2)
        desk.calls.away = True
        await asyncio.sleep(1.2)
        desk.calls.away, desk.calls.answers["c"] = False, b"kept"
        assert await asking == b"kept"


@virtual_time
async def test_what_was_answered_before_is_answered_at_once() -> None:
    async with opened() as desk:
        asking = desk.ask()
        await asyncio.sleep(0)
        desk.errands.run(Entered(True, b"before"))
        assert await asking == b"before"


@virtual_time
async def test_what_the_store_refuses_is_raised_and_nothing_withdrawn() -> None:
    async with opened() as desk:
        desk.errands.refuses = StoreUnavailable("away")
        with pytest.raises(StoreUnavailable):
            await desk.ask(withdraw=True)
        desk.errands.refuses = None
        asking = desk.ask(withdraw=True)
        await asyncio.sleep(0)
        desk.errands.run(RequestConflict("another"))
        with pytest.raises(RequestConflict):
            await asking
        assert desk.errands.run() == []


@virtual_time
async def test_who_can_ask_again_is_told_so_and_nothing_is_withdrawn() -> None:
    async with opened() as desk:
        asking = desk.ask("mine")
        await asyncio.sleep(0)
        desk.errands.run()
        with pytest.raises(NoAnswer, match="mine"):
            await asking
        await asyncio.sleep(5)
        assert desk.errands.run() == []


@virtual_time
async def test_who_cannot_ask_again_leaves_nothing_behind_however_late_it_was_entered() -> None:
    async with opened() as desk:
        asking = desk.ask(withdraw=True)
        with pytest.raises(NoAnswer):
            await asking
        assert desk.errands.run() == [ASKED], "the store has it only now"
        await asyncio.sleep(0)
        desk.errands.steps[0][1](StoreUnavailable("away"))
        desk.errands.steps.clear()
        desk.errands.refuses = StoreUnavailable("away")
        await asyncio.sleep(5)
        desk.errands.refuses = None
        await asyncio.sleep(2)
        assert desk.errands.run() == [WITHDRAWN]
        await asyncio.sleep(5)
        assert desk.errands.run() == []
