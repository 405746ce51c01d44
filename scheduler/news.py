"""Holds back what the pool is told of itself: at most 20 events a second of a kind, the newest win."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from rpn.messages import PoolEvent
from rpn.replica import iso
from scheduler.rate import LIMIT, Rate


class News:
    """What has happened and was not told yet; what it does not tell in time, newer news displace."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[int, dict[str, Any]]]] = {}
        self._rates: dict[str, Rate] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, kind: str, at_ms: int, **what: Any) -> None:
        """Something happened; `what` are fields of the `pool_event`."""
        self.note(kind, at_ms, what)

    def note(self, kind: str, at_ms: int, what: dict[str, Any]) -> None:
        """The same, for what stands ready."""
        waiting = self._waiting.get(kind)
        if waiting is None:
            waiting = self._waiting[kind] = deque(maxlen=LIMIT)
        waiting.append((at_ms, what))

    def due(self, now_ms: int) -> list[PoolEvent]:
        """What may be told now, a kind at a time, in order; it is not kept."""
        return [event for kind in list(self._waiting) for event in self._due(kind, now_ms)]

    def _due(self, kind: str, now_ms: int) -> Iterator[PoolEvent]:
        waiting = self._waiting[kind]
        rate = self._rates.setdefault(kind, Rate())
        while waiting and rate.admits(now_ms):
            at_ms, what = waiting.popleft()
            yield PoolEvent(kind=kind, at=iso(at_ms), **what)  # type: ignore[arg-type]
        if not waiting:
            del self._waiting[kind]
