"""What clients ask of the scheduler, on its way into the store: many steps, one round trip.

One round trip is under way at a time, so the order in which a client asked is kept. While its
outcome is unknown the same steps are run again: they are safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from gateway.metrics import Counters
from gateway.peer import Peer
from rpn.errors import QueueFull, RPNError, StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.steps import Step, run_steps

Answered = Callable[[Any], None]
"""Takes a step's answer, which may be an RPNError."""

TRIP_COUNT = 256
"""steps in one round trip"""
WAITING_LIMIT = 20_000
"""steps of all clients that may wait for their round trip"""
HELD_LIMIT = 1000
"""steps of one client that may wait for its join"""


class Errands:
    """The steps that wait, in order."""

    def __init__(self, connection: Connection, counters: Counters) -> None:
        self._connection = connection
        self._counters = counters
        self._waiting: deque[tuple[Step[Any], Answered]] = deque()
        self._wake = asyncio.Event()
        self._available = True

    def add(self, peer: Peer, step: Step[Any], answered: Answered) -> None:
        """Run `step` for `peer`, once it has joined.

        Raises StoreUnavailable or QueueFull: then it is certainly not done.
        """
        self._check(len(peer.held))
        if not peer.joined:
            peer.held.append((step, answered))
            return
        self._waiting.append((step, answered))
        self._wake.set()

    def enter(self, step: Step[Any], answered: Answered) -> None:
        """Run `step` for somebody who is no device.

        Raises StoreUnavailable or QueueFull: then it is certainly not done.
        """
        self._check(0)
        self._waiting.append((step, answered))
        self._wake.set()

    def release(self, peer: Peer) -> None:
        """It has joined: what it asked for may go."""
        held, peer.held = peer.held, []
        if held:
            self._waiting.extend(held)
            self._wake.set()

    async def run(self) -> None:
        """Run errands for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                trip = [self._waiting.popleft() for _ in range(min(TRIP_COUNT, len(self._waiting)))]
                answers = await self._until_known([step for step, _ in trip])
                for (_, answered), answer in zip(trip, answers, strict=True):
                    answered(answer)

    def _check(self, held: int) -> None:
        """Raise if nothing more can be taken, of a client of whom `held` steps wait for its join."""
        if not self._available:
            raise StoreUnavailable("the pool's server cannot be reached: try again")
        if len(self._waiting) >= WAITING_LIMIT or held >= HELD_LIMIT:
            raise QueueFull("more is asked than can be written: slow down")

    async def _until_known(self, steps: list[Step[Any]]) -> list[Any]:
        pause_s = 0.02
        while True:
            try:
                answers = await run_steps(self._connection, steps)
            except StoreUnavailable as error:
                self._available = False
                self._refuse_waiting(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.5)
            else:
                self._available = True
                self._counters.steps += len(steps)
                return answers

    def _refuse_waiting(self, error: RPNError) -> None:
        """What was never sent is certainly not done: say so now."""
        waiting, self._waiting = self._waiting, deque()
        for _, answered in waiting:
            answered(error)
