"""Keeps deadlines: a heap of what is due when, in the store's clock.

The store's `due` is its memory over a change of leaders. A deadline only nudges: who set it looks
at the state when it rings, so one that is obsolete does no harm.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from rpn.store.commits import Decision


class Keeper:
    """Deadlines by name; a name has one time."""

    def __init__(self, due: Mapping[str, int] | None = None) -> None:
        self._at_ms: dict[str, int] = dict(due or {})
        self._heap = [(at_ms, name) for name, at_ms in self._at_ms.items()]
        heapq.heapify(self._heap)

    def __contains__(self, name: str) -> bool:
        return name in self._at_ms

    def __len__(self) -> int:
        return len(self._at_ms)

    def remember(self, name: str, at_ms: int) -> None:
        """Ring for `name` at this time, and at no other."""
        if self._at_ms.get(name) != at_ms:
            self._at_ms[name] = at_ms
            heapq.heappush(self._heap, (at_ms, name))

    def forget(self, name: str) -> bool:
        """Do not ring for `name`; whether it was to be."""
        return self._at_ms.pop(name, None) is not None

    def set(self, decision: Decision, name: str, at_ms: int) -> None:
        """Remember, and let the store remember too."""
        if self._at_ms.get(name) != at_ms:
            decision.due(name, at_ms)
            self.remember(name, at_ms)

    def clear(self, decision: Decision, name: str) -> None:
        """Forget, and let the store forget too."""
        if self.forget(name):
            decision.undue(name)

    def rung(self, now_ms: int) -> list[str]:
        """Names whose time has come, in order; they stay until they are set anew or cleared."""
        names: list[str] = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, name = heapq.heappop(self._heap)
            if self._at_ms.get(name) == at_ms and name not in names[-1:]:
                names.append(name)
        return names

    def next_ms(self) -> int | None:
        """When the next one rings."""
        while self._heap and self._at_ms.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
