"""Wrong tokens by address: who shows too many is answered late and slowly, however many connections it has.

A guess costs us more than the guesser. So answers to an address that guesses leave one after the other,
at a rate that nobody else notices, and none at once.
"""

from __future__ import annotations

import asyncio
from math import ceil

from gateway.limits import Window, rate_address
from rpn.errors import RateLimited

WRONG_LIMIT, WRONG_SPAN_S = 10, 60.0
"""wrong tokens that one address may show in this time; a right one always counts"""
DELAY_S, EVERY_S = 0.04, 1 / 300
"""how long an answer is held that is one too many, and how far apart those to one address leave"""
GRID_S = 0.01
"""answers leave together at such times: to wake up for each costs more than the answer"""
HELD_LIMIT = 2000
"""answers that are held, of all addresses; what is more is refused as it comes"""
FORGET_EVERY_S = 1.0


class Guesses:
    """Of everybody who was wrong within the last minute."""

    def __init__(self) -> None:
        self._wrong: dict[str, Window] = {}
        self._next_s: dict[str, float] = {}
        """of addresses that were wrong too often: when the next answer may leave"""
        self._held = 0
        self._forgot_s = 0.0

    @property
    def remembered(self) -> int:
        """How many addresses."""
        return len(self._wrong)

    async def hold(self, address: str) -> None:
        """Wait, if this address was wrong too often. Raises RateLimited when too many wait."""
        key = rate_address(address)
        if key not in self._next_s:
            return
        if self._held >= HELD_LIMIT:
            raise _too_many()
        now_s = asyncio.get_running_loop().time()
        self._next_s[key] = slot_s = max(now_s + DELAY_S, self._next_s[key] + EVERY_S)
        self._held += 1
        try:
            await asyncio.sleep(ceil(slot_s / GRID_S) * GRID_S - now_s)
        finally:
            self._held -= 1

    def count(self, address: str) -> None:
        """It was wrong. Raises RateLimited when it was so too often."""
        key, now_s = rate_address(address), asyncio.get_running_loop().time()
        self._forget(now_s)
        window = self._wrong.get(key)
        if window is None:
            window = self._wrong[key] = Window(WRONG_LIMIT, WRONG_SPAN_S)
        if not window.admits(now_s):
            self._next_s.setdefault(key, now_s)
            raise _too_many()

    def _forget(self, now_s: float) -> None:
        """Those who have stopped."""
        if now_s - self._forgot_s < FORGET_EVERY_S:
            return
        self._forgot_s = now_s
        self._wrong = {key: window for key, window in self._wrong.items() if not window.idle(now_s)}
        self._next_s = {key: at_s for key, at_s in self._next_s.items() if key in self._wrong}


def _too_many() -> RateLimited:
    return RateLimited("too many wrong tokens from this address", retry_after_s=int(WRONG_SPAN_S))
