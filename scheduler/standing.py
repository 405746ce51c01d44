"""How much there is to do and to keep, for whoever watches."""

from __future__ import annotations

from typing import NamedTuple

from rpn.model import TaskState

WHY = ("INSUFFICIENT", "INFEASIBLE", "QUOTA", "RESTING")
"""codes of reasons; RESTING: it was lost again and again"""
OPEN = tuple(state for state in TaskState if not state.final)


class Standing(NamedTuple):
    """Of one leadership, now."""

    queued: int = 0
    """tasks that wait for a device"""
    unheard: int = 0
    """entries taken in and not decided yet"""
    allocations: int = 0
    tasks: dict[TaskState, int] = dict.fromkeys(OPEN, 0)
    """those not over, by state"""
    depths: dict[str, int] = dict.fromkeys(WHY, 0)
    """tasks that wait, by the code of the reason"""
