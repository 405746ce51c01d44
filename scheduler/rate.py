"""Bounds how often something happens: so many times within any second."""

from __future__ import annotations

from collections import deque

LIMIT = 20
"""times within a second"""
SPAN_MS = 1000


class Rate:
    """Remembers the last times; what is not admitted is not counted."""

    def __init__(self) -> None:
        self._last_ms: deque[int] = deque(maxlen=LIMIT)

    def admits(self, now_ms: int) -> bool:
        """Whether it may happen once more now; then that is counted."""
        if len(self._last_ms) == LIMIT and self._last_ms[0] > now_ms - SPAN_MS:
            return False
        self._last_ms.append(now_ms)
        return True
