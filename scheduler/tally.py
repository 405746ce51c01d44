"""Amounts that grow and shrink with every attempt or share, and how many of those they are."""

from __future__ import annotations

from scheduler.amounts import Amounts


class Tally:
    """A sum in plain ints: each task changes two of them twice, each share of an allocation one."""

    __slots__ = ("count", "cpu", "gpu", "memory", "storage")

    def __init__(self) -> None:
        self.count = self.cpu = self.memory = self.storage = self.gpu = 0

    def add(self, need: Amounts) -> None:
        cpu, memory, storage, gpu = need
        self.count += 1
        self.cpu += cpu
        self.memory += memory
        self.storage += storage
        self.gpu += gpu

    def take(self, need: Amounts) -> None:
        cpu, memory, storage, gpu = need
        self.count -= 1
        self.cpu -= cpu
        self.memory -= memory
        self.storage -= storage
        self.gpu -= gpu

    @property
    def amounts(self) -> Amounts:
        return Amounts(self.cpu, self.memory, self.storage, self.gpu)

    def part_of(self, total: Amounts) -> float:
        """The largest part of any dimension of `total` that this is."""
        parts = [mine / all_ for mine, all_ in zip(self.amounts, total, strict=True) if all_ > 0]
        return max(parts, default=0.0)
