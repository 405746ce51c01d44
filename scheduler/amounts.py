"""What a device has and a request needs, in whole units: core-percent, MB, MB, GPUs."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from rpn.model import Requirements, Share


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
        return Amounts(*(mine + its for mine, its in zip(self, other, strict=True)))

    def minus(self, other: Amounts) -> Amounts:
        return Amounts(*(mine - its for mine, its in zip(self, other, strict=True)))


NOTHING = Amounts()
CLOSED = Amounts(cpu=-1)
"""Less than nothing: it covers no need, not even that of nothing."""


class Offer(NamedTuple):
    """What one device can give now, and what it could give if it were idle."""

    device_id: str
    device_name: str
    free: Amounts
    total: Amounts
    runs_tasks: bool = False

    @property
    def shown(self) -> Amounts:
        """What is free, for people: a closed device has nothing, not less."""
        return NOTHING if self.free == CLOSED else self.free


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


def share_of(offer: Offer, amounts: Amounts) -> Share:
    """`amounts` of this device, as clients see it."""
    return Share(
        offer.device_id,
        offer.device_name,
        amounts.cpu,
        amounts.memory,
        amounts.storage,
        bool(amounts.gpu),
    )
