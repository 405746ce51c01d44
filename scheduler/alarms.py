"""Remembers when somebody must look after a task if nothing happens before.

Every time follows from the task's life, so a new leader knows them all: the store keeps none.
"""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

from scheduler.queue import TaskKey

SPARE = 1000
"""obsolete times that are kept beside as many as there are valid ones"""


class Alarmed(Protocol):
    """What an alarm is for; it has one at most."""

    key: TaskKey
    alarm_ms: int
    """0: none"""


T = TypeVar("T", bound=Alarmed)


class Alarms(Generic[T]):
    """A heap of times; one counts while it is still its bearer's."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, TaskKey, T]] = []
        self._set = 0

    def __len__(self) -> int:
        return self._set

    def set(self, bearer: T, at_ms: int) -> None:
        """Ring for `bearer` at this time and no other; never with 0."""
        if bearer.alarm_ms == at_ms:
            return
        self._set += bool(at_ms) - bool(bearer.alarm_ms)
        bearer.alarm_ms = at_ms
        if at_ms:
            heapq.heappush(self._heap, (at_ms, bearer.key, bearer))
        if len(self._heap) > 2 * self._set + SPARE:
            self._heap = [each for each in self._heap if each[0] == each[2].alarm_ms]
            heapq.heapify(self._heap)

    def rung(self, now_ms: int) -> list[T]:
        """Whose time has come, in order; each rings once."""
        found: list[T] = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, _, bearer = heapq.heappop(self._heap)
            if bearer.alarm_ms == at_ms:
                self.set(bearer, 0)
                found.append(bearer)
        return found

    def next_ms(self) -> int | None:
        """When the next one rings."""
        while self._heap and self._heap[0][2].alarm_ms != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
