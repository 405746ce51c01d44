"""How much all clients together may have read from them in one turn of the event loop.

Without it, clients that send more than we can take would fill each turn with their words, for
seconds, and nothing else would happen: no round, no answer of the store, no renewal of a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.turnstile import Turnstile

BYTES_IN_A_TURN = 512 * 1024
"""about a thousand updates: some 10 ms"""


class Ration:
    """What is over the ration of a turn waits at a turnstile."""

    def __init__(self) -> None:
        self._left = BYTES_IN_A_TURN
        self._renewing = False
        self._turnstile = Turnstile()

    def admits(self, size: int) -> bool:
        """Whether so many bytes may be taken in this turn; the last ones may be too many."""
        if self._left <= 0:
            return False
        self._left -= size
        if not self._renewing:
            self._renewing = True
            asyncio.get_running_loop().call_soon(self._renew)
        return True

    def later(self, work: Callable[[], None]) -> None:
        """Do this in one of the next turns."""
        self._turnstile.enter(work)

    def _renew(self) -> None:
        self._left, self._renewing = BYTES_IN_A_TURN, False
