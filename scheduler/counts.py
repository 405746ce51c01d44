"""What the scheduler counts, in plain ints that metrics read."""

from __future__ import annotations

from dataclasses import dataclass, field

from rpn.model import TaskState
from scheduler.durations import WAITS_S, Durations


@dataclass(slots=True)
class Counts:
    """Since the start of the process."""

    takeovers: int = 0
    commits: int = 0
    commit_s: float = 0.0
    """time they took, those that only renewed the lease not counted"""
    refused: int = 0
    """commits refused by the fence: another leads, or the lease had run out; each ends a leadership"""
    store_writes: Durations = field(default_factory=Durations)
    """every commit, also those that only renew the lease, until the store had it for good"""
    rounds: Durations = field(default_factory=Durations)
    """from the news to the decisions, in each round that decided something"""
    waits: Durations = field(default_factory=lambda: Durations(WAITS_S))
    """of tasks, from when they were queued until a device was found"""
    decisions: int = 0
    skipped: int = 0
    """decisions whose devices had moved on"""
    moved: int = 0
    """messages whose receiver had moved on"""
    requests_fulfilled: int = 0
    requests_refused: int = 0
    requests_tried: int = 0
    """dry runs of what would have fitted"""
    requests_dropped: int = 0
    """whose requester was gone"""
    allocations_freed: int = 0
    entries_dropped: int = 0
    """that nobody could make sense of"""
    attempts: int = 0
    attempts_lost: int = 0
    tasks_ended: dict[TaskState, int] = field(
        default_factory=lambda: {state: 0 for state in TaskState if state.final}
    )
