"""The limits of an attempt, out of what its owner allows and what it asked for."""

from __future__ import annotations

from msgspec import UNSET

from agent.plan import Plan
from agent.spawner import Limits
from rpn.model import Requirements

NICE = 10
"""Tasks give way to whoever works at the machine."""


def limits_for(plan: Plan, requirements: Requirements) -> Limits:
    """What the process that runs `plan` is held to."""
    return Limits(
        memory_mb=plan.memory_limit_mb,
        storage_mb=plan.storage_limit_mb,
        processes=plan.process_limit,
        nice=NICE,
        wall_s=UNSET if plan.timeout_s is None else plan.timeout_s,
        cpu=float(requirements.cpu) if requirements.cpu else UNSET,
    )
