"""Lets work in a little at a time, so that whoever else wants something is served in between.

A thousand clients that come back at once bring a thousand handshakes in one turn of the event loop,
and nobody hears anything from us until the last of them is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

TURN_S = 0.005
"""how long work may take in one turn of the event loop"""


class Turnstile:
    """First come, first served: what does not fit into this turn waits for the next ones."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._held = False

    def enter(self, work: Callable[[], None]) -> None:
        """Do `work` when its turn comes."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    def hold(self) -> None:
        """Let only one in this turn: there is something that comes first."""
        self._held = True

    def _turn(self) -> None:
        loop, end_s = asyncio.get_running_loop(), perf_counter() + (0 if self._held else TURN_S)
        self._held = False
        while self._waiting:
            try:
                self._waiting[0]()
            except Exception as error:
                loop.call_exception_handler({"message": "work at the turnstile failed", "exception": error})
            self._waiting.popleft()
            if perf_counter() >= end_s:
                break
        if self._waiting:
            loop.call_soon(self._turn)
