"""What of a machine is offered to the pool: all that is free of the owner's share, or nothing."""

from __future__ import annotations

import os
from functools import partial

import msgspec

from agent.policy import Policy
from rpn.model import Amount, PoolUsage, Resources


def offered(resources: Resources, usage: PoolUsage | None, policy: Policy, *, is_open: bool) -> Resources:
    """`resources` as the pool may use them.

    What the machine has and uses stays true, so that people see it; `available` is what is left of
    the owner's share beside what the pool has of it already, and zero while it is withheld. A GPU
    that is not shared is not there.
    """
    usage = usage or PoolUsage()
    left = partial(_left, is_open=is_open)
    cpu_used = float(usage.cpu) / max(1, float(resources.cpu_cores))  # percent of the whole device
    return msgspec.structs.replace(
        resources,
        cpu_available=round(left(resources.cpu_available, 100, cpu_used, policy.cpu), 1),
        memory_available=int(
            left(resources.memory_available, resources.memory_total, usage.memory, policy.memory)
        ),
        storage_available=int(
            left(resources.storage_available, resources.storage_total, usage.storage, policy.storage)
        ),
        has_gpu=resources.has_gpu and policy.gpu,
        gpu_name=resources.gpu_name if policy.gpu else None,
        gpu_usage=resources.gpu_usage if policy.gpu else None,
    )


def cpu_share(policy: Policy) -> float | None:
    """Core-percent that the pool's tasks together may use; None: all there are."""
    return policy.cpu * (os.cpu_count() or 1) if policy.cpu < 100 else None


def _left(available: Amount, total: Amount, used: Amount, share_percent: float, *, is_open: bool) -> float:
    """`used` is the pool's own, and counts against its share."""
    if not is_open:
        return 0
    share = float(total) * share_percent / 100
    return max(0.0, min(float(available), share - float(used)))
