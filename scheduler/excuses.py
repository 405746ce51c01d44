"""Bounds the work of saying why a request was refused, where nobody but the pool's news would tell."""

from __future__ import annotations

from collections import deque

from scheduler.news import RATE_LIMIT, SPAN_MS


class Excuses:
    """As many as the news may tell: to explain takes a look at every device."""

    def __init__(self) -> None:
        self._given_ms: deque[int] = deque(maxlen=RATE_LIMIT)

    def admits(self, now_ms: int) -> bool:
        """Whether one more may be made up now."""
        if len(self._given_ms) == RATE_LIMIT and self._given_ms[0] > now_ms - SPAN_MS:
            return False
        self._given_ms.append(now_ms)
        return True
