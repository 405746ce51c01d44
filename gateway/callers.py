"""Callers that are no devices: what they ask the scheduler, and the answer they wait for.

The answer comes as a letter in our mailbox, addressed to the call. A letter may be lost (with our id,
or because the same call was asked at another gateway), so while we wait we also look at the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.errands import Errands
from rpn.errors import NoAnswer, RPNError, StoreUnavailable
from rpn.store.calls import Calls, Entered
from rpn.store.records import Call
from rpn.store.steps import Step

LOOK_EVERY_S = 0.5
"""how often a call that waits looks at its key"""
RETRY_S = 1.0
"""between two attempts to withdraw what nobody waits for any more"""

Waiter = asyncio.Future[bytes]


class Callers:
    """Everybody who waits here for the scheduler."""

    def __init__(self, calls: Calls, errands: Errands, gateway: Callable[[], str], *, limit_s: float) -> None:
        """`gateway` tells our id in the store, which may change."""
        self._calls = calls
        self._errands = errands
        self._gateway = gateway
        self._limit_s = limit_s
        self._waiting: dict[str, list[Waiter]] = {}
        self._withdrawals: list[Step[Any]] = []

    async def ask(
        self,
        call_id: str,
        step: Callable[[Call], Step[Entered]],
        *,
        withdraw: Callable[[], Step[Any]] | None = None,
    ) -> bytes:
        """The scheduler's answer (JSON) to what `step` enters.

        Raises what refused the step, or NoAnswer after `limit_s`. Asked again under the same id it
        is not done twice, but answered. Who will not ask again gives `withdraw`: the step that
        takes back whatever may still come of it.
        """
        answer: Waiter = asyncio.get_running_loop().create_future()
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(call_id, []).append(answer)
        try:
            self._errands.enter(step(Call(call_id, self._gateway())), partial(_entered, entered, answer))
            async with asyncio.timeout(self._limit_s):
                return await self._answer(call_id, answer)
        except TimeoutError:
            if withdraw is not None:
                entered.add_done_callback(lambda _: self._withdraw(withdraw()))
            raise NoAnswer(_left_behind(call_id, withdrawn=withdraw is not None)) from None
        finally:
            self._forget(call_id, answer)

    def answered(self, call_id: str, answer: bytes) -> None:
        """A letter came for a call; nobody may wait for it any more."""
        for waiter in self._waiting.get(call_id, ()):
            _answer(waiter, answer)

    async def run(self) -> None:
        """Try again, for ever, to withdraw what could not be withdrawn at once."""
        while True:
            await asyncio.sleep(RETRY_S)
            withdrawals, self._withdrawals = self._withdrawals, []
            for step in withdrawals:
                self._withdraw(step)

    async def _answer(self, call_id: str, answer: Waiter) -> bytes:
        while True:
            done, _ = await asyncio.wait((answer,), timeout=LOOK_EVERY_S)
            if done:
                return answer.result()
            try:
                found = await self._calls.answer(call_id)
            except StoreUnavailable:
                continue  # it may be back before our time is over
            if found:
                return found

    def _withdraw(self, step: Step[Any]) -> None:
        try:
            self._errands.enter(step, lambda answer: self._withdrawn(step, answer))
        except RPNError:
            self._withdrawals.append(step)

    def _withdrawn(self, step: Step[Any], answer: Any) -> None:
        if isinstance(answer, RPNError):
            self._withdrawals.append(step)

    def _forget(self, call_id: str, answer: Waiter) -> None:
        answer.cancel()
        waiters = self._waiting[call_id]
        waiters.remove(answer)
        if not waiters:
            del self._waiting[call_id]


def _entered(entered: asyncio.Future[None], waiter: Waiter, found: Entered | RPNError) -> None:
    """The step was run, or refused; only what is in the store may have to be withdrawn."""
    if isinstance(found, RPNError):
        if not waiter.done():
            waiter.set_exception(found)
        return
    entered.set_result(None)
    if found.answer:
        _answer(waiter, found.answer)


def _answer(waiter: Waiter, answer: bytes) -> None:
    if not waiter.done():
        waiter.set_result(answer)


def _left_behind(call_id: str, *, withdrawn: bool) -> str:
    if withdrawn:
        return "no scheduler answered in time; what it may still decide is taken back at once"
    return f"no scheduler answered in time; asking again under the same id ({call_id}) brings the answer"
