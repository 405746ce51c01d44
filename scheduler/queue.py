"""Orders the tasks that wait: by priority, then the submitter that has least, then age.

Tasks of one submitter with the same priority and the same demand form a line. If the first of a
line does not fit, none of it does; so a round looks at lines, and touches a task only to place it.
What does not fit is skipped, not waited for.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from scheduler.demand import Demand

TaskKey = tuple[str, str]
"""(submitter, task id)"""
Usage = tuple[float, int, int]
"""a submitter's dominant share of the pool, how many of its tasks run, and when it last had its turn"""

LINES_OF_ONE = 32
"""of one submitter that may be found not to fit in one round, if others wait: nobody fills rounds alone"""

ALONE: Usage = (0.0, 0, 0)
"""of whoever need not share: nobody looks at it"""


class Waiting(NamedTuple):
    """A task in the queue; older ones sort first."""

    submitted_ms: int
    key: TaskKey


class Line:
    """Tasks that only their age tells apart."""

    __slots__ = ("demand", "heap", "priority", "submitter_id")

    def __init__(self, priority: int, submitter_id: str, demand: Demand) -> None:
        self.priority = priority
        self.submitter_id = submitter_id
        self.demand = demand
        self.heap: list[Waiting] = []
        """some of them may wait no more"""


class Queue:
    """All tasks that wait for a device."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, str, Demand], Line] = {}
        self._line_of: dict[TaskKey, Line] = {}
        self.revision = 0
        """grows with every task that comes in"""

    def __len__(self) -> int:
        return len(self._line_of)

    def __contains__(self, key: TaskKey) -> bool:
        return key in self._line_of

    def add(self, key: TaskKey, *, priority: int, demand: Demand, submitted_ms: int) -> None:
        """Let a task wait, at the place that its age gives it."""
        name = priority, key[0], demand
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = Line(*name)
        self._line_of[key] = line
        heapq.heappush(line.heap, Waiting(submitted_ms, key))
        self.revision += 1

    def remove(self, key: TaskKey) -> None:
        """Forget a task; its place in the line is swept when it comes to the front."""
        line = self._line_of.pop(key, None)
        if line is not None and self.head(line) is None:
            del self._lines[line.priority, line.submitter_id, line.demand]

    def position(self, key: TaskKey) -> int:
        """How many are before it, by priority and age; the share of their submitters is left out."""
        mine = self._line_of[key]
        at = next(each for each in mine.heap if each.key == key)
        return sum(
            line.priority > mine.priority or (line.priority == mine.priority and each < at)
            for line in self._lines.values()
            if line.priority >= mine.priority
            for each in self._waiting(line)
        )

    def positions(self) -> dict[TaskKey, int]:
        """The same for everybody at once."""
        places: dict[TaskKey, int] = {}
        for lines in self.lines_by_priority():
            for each in sorted(each for line in lines for each in self._waiting(line)):
                places.setdefault(each.key, len(places))
        return places

    def depths(self) -> dict[Demand, int]:
        """How many wait with each demand."""
        return dict(Counter(line.demand.alike for line in self._line_of.values()))

    def demands(self) -> set[Demand]:
        """Every different demand that somebody waits with, whoever it is."""
        return {line.demand.alike for line in self._lines.values()}

    def waiting_with(self, demand: Demand) -> list[TaskKey]:
        """Everybody who waits with this demand."""
        lines = [line for line in self._lines.values() if line.demand.alike == demand]
        return sorted({each.key for line in lines for each in self._waiting(line)})

    @property
    def shared(self) -> bool:
        """Whether more than one submitter waits."""
        return len({line.submitter_id for line in self._lines.values()}) > 1

    def round(self, usage: Callable[[str], Usage]) -> Round:
        """One pass over the queue; `usage` tells how much of the pool a submitter has."""
        return Round(self, usage)

    def lines_by_priority(self) -> Iterator[list[Line]]:
        """The lines of one priority after those of another, the highest first."""
        levels: dict[int, list[Line]] = {}
        for line in self._lines.values():
            levels.setdefault(line.priority, []).append(line)
        for priority in sorted(levels, reverse=True):
            yield levels[priority]

    def head(self, line: Line) -> Waiting | None:
        """The oldest of a line, or None when nobody is left in it."""
        heap, line_of = line.heap, self._line_of
        while heap and line_of.get(heap[0].key) is not line:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _waiting(self, line: Line) -> Iterator[Waiting]:
        """Those of a line who still wait, in no order."""
        return (each for each in line.heap if self._line_of.get(each.key) is line)


class Round:
    """One pass: `next` names who is to be tried; `placed` or `blocked` tells how it went."""

    def __init__(self, queue: Queue, usage: Callable[[str], Usage]) -> None:
        self._queue = queue
        self._usage = usage
        self._levels = queue.lines_by_priority()
        self._blocked: list[Demand] = []
        self._blocked_of: dict[str, int] = {}
        self._shared: bool | None = None
        self._submitters: list[tuple[Usage, Waiting, str]] = []
        self._lines: dict[str, list[tuple[Waiting, Line]]] = {}
        self._tried: tuple[str, Line] | None = None

    def next(self) -> tuple[TaskKey, Demand] | None:
        """The task whose turn it is, and its demand; None at the end."""
        while True:
            while self._submitters:
                _, _, submitter_id = heapq.heappop(self._submitters)
                lines = self._lines[submitter_id]
                while lines and self._hopeless(lines[0][1].demand):
                    heapq.heappop(lines)
                if lines:
                    waiting, line = heapq.heappop(lines)
                    self._tried = submitter_id, line
                    return waiting.key, line.demand
            level = next(self._levels, None)
            if level is None:
                return None
            self._enter(level)

    def placed(self) -> None:
        """It has a device and left the queue."""
        if self._tried is not None:
            submitter_id, line = self._tried
            head = self._queue.head(line)
            if head is not None:
                heapq.heappush(self._lines[submitter_id], (head, line))
            self._again(submitter_id)

    def blocked(self) -> None:
        """No device has room for it now, nor for anybody who needs at least as much."""
        if self._tried is not None:
            submitter_id, line = self._tried
            self._blocked.append(line.demand)
            self._blocked_of[submitter_id] = self._blocked_of.get(submitter_id, 0) + 1
            if self._tried_enough(submitter_id):
                self._lines[submitter_id].clear()
            self._again(submitter_id)

    def _enter(self, level: list[Line]) -> None:
        self._lines = {}
        for line in level:
            head = self._queue.head(line)
            if head is not None and not self._tried_enough(line.submitter_id):
                heapq.heappush(self._lines.setdefault(line.submitter_id, []), (head, line))
        for submitter_id in self._lines:
            self._again(submitter_id)

    def _again(self, submitter_id: str) -> None:
        lines = self._lines[submitter_id]
        if lines:
            usage = self._usage(submitter_id) if len(self._lines) > 1 else ALONE
            heapq.heappush(self._submitters, (usage, lines[0][0], submitter_id))

    def _tried_enough(self, submitter_id: str) -> bool:
        if self._blocked_of.get(submitter_id, 0) < LINES_OF_ONE:
            return False
        if self._shared is None:
            self._shared = self._queue.shared
        return self._shared

    def _hopeless(self, demand: Demand) -> bool:
        return bool(self._blocked) and any(demand.as_hard_as(blocked) for blocked in self._blocked)
