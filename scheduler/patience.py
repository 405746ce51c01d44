"""Remembers of whom something must be heard, where everybody is given the same time."""

from __future__ import annotations

from collections import deque


class Patience:
    """By name; who is given time anew has all of it again. Only in memory: a new leader asks anew."""

    def __init__(self, limit_ms: int) -> None:
        self._limit_ms = limit_ms
        self._until_ms: dict[str, int] = {}
        self._order: deque[tuple[int, str]] = deque()
        """nearly in order, because the time is the same for all; some are obsolete"""

    def give(self, name: str, now_ms: int) -> None:
        """Ring for `name` when the time is over, from now on, and not before."""
        until_ms = self._until_ms[name] = now_ms + self._limit_ms
        self._order.append((until_ms, name))

    def forget(self, name: str) -> None:
        self._until_ms.pop(name, None)

    def rung(self, now_ms: int) -> list[str]:
        """Those of whom nothing was heard in time, once."""
        names: list[str] = []
        while (at_ms := self.next_ms()) is not None and at_ms <= now_ms:
            _, name = self._order.popleft()
            del self._until_ms[name]
            names.append(name)
        return names

    def next_ms(self) -> int | None:
        """When the next one rings."""
        while self._order and self._until_ms.get(self._order[0][1]) != self._order[0][0]:
            self._order.popleft()
        return self._order[0][0] if self._order else None
