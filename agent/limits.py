"""The limits of an attempt, out of what its owner allows and what it asked for."""

from __future__ import annotations

from agent.plan import Plan
from agent.spawner import Limits
from rpn.model import Requirements

NICE = 10
"""Tasks give way to whoever works at the machine."""


def limits_for(plan: Plan, requirements: Requirements) -> Limits:
    """What the process that runs `plan` is held to."""
    limits = Limits(
        memory_mb=plan.memory_limit_mb,
        storage_mb=plan.storage_limit_mb,
        processes=plan.process_limit,
        nice=NICE,
    )
    if plan.timeout_s is not None:
        limits = _with(limits, wall_s=plan.timeout_s)
    if requirements.cpu:
        limits = _with(limits, cpu=float(requirements.cpu))
    return limits


def _with(limits: Limits, **changes: float) -> Limits:
    import msgspec

    return msgspec.structs.replace(limits, **changes)
