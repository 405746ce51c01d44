"""What a device has and a request needs, in whole units: core-percent, MB, MB, GPUs."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from rpn.model import Requirements, Share

UNITS = {"cpu": "cores", "memory": "MB memory", "storage": "MB storage", "gpu": "GPU"}
"""as people say them"""


class Amounts(NamedTuple):
    """One whole number a dimension."""

    cpu: int = 0
    memory: int = 0
    storage: int = 0
    gpu: int = 0

    def covers(self, need: Amounts) -> bool:
        """Whether `need` could be taken out of this."""
        return (
            self.cpu >= need.cpu
            and self.memory >= need.memory
            and self.storage >= need.storage
            and self.gpu >= need.gpu
        )

    def plus(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu + other.cpu,
            self.memory + other.memory,
            self.storage + other.storage,
            self.gpu + other.gpu,
        )

    def minus(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu - other.cpu,
            self.memory - other.memory,
            self.storage - other.storage,
            self.gpu - other.gpu,
        )


NOTHING = Amounts()
CLOSED = Amounts(cpu=-1)
"""Less than nothing: it covers no need, not even that of nothing."""


def needed(requirements: Requirements) -> Amounts:
    """Whole units that cover `requirements`."""
    return Amounts(
        ceil(requirements.cpu),
        ceil(requirements.memory),
        ceil(requirements.storage),
        int(requirements.gpu),
    )


def amounts_of(share: Share) -> Amounts:
    """What a share takes from its device."""
    return Amounts(
        share.allocated_cpu, share.allocated_memory, share.allocated_storage, int(share.allocated_gpu)
    )


def in_words(dimension: str, amount: int) -> str:
    """As people read it: the wire's core-percent in cores."""
    return f"{amount / 100 if dimension == 'cpu' else amount:.10g} {UNITS[dimension]}"
