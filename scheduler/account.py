"""One device's account: what it reported, who holds how much of it, and what is free.

Reservation and observed use must not count the same work twice, nor may capacity be given away
twice. An agent says how much of its use is the pool's own work, so

    free = total - headroom - max(0, used - min(pool usage, reserved)) - reserved

where `used` is its usage, or more if its owner withholds more: total - available. A plain client
does not say: its pool usage counts as nothing and its usage as total - available, which errs on
the safe side. More available than there is counts as all there is. A GPU has one holder at a time.
"""

from __future__ import annotations

from math import ceil, floor

from rpn.model import PoolUsage, Resources
from scheduler.amounts import CLOSED, NOTHING, Amounts

FreeAmounts = tuple[int, int, int, int]


class Account:
    """What changes with every reservation stands in plain ints."""

    __slots__ = (
        "_cpu",
        "_credit",
        "_gpu",
        "_memory",
        "_room",
        "_storage",
        "closed",
        "holders",
        "pool_usage",
        "total",
        "used",
    )

    def __init__(self) -> None:
        self.total = NOTHING
        """what may ever be given away: without the headroom"""
        self.used = NOTHING
        self.pool_usage = NOTHING
        self.closed = False
        """it has something, of which its owner leaves nothing at all"""
        self.holders: dict[str, Amounts] = {}
        self._room = self._credit = NOTHING
        """what is not used, and how much of what is used may be the pool's own work"""
        self._cpu = self._memory = self._storage = self._gpu = 0

    def report(self, resources: Resources, pool_usage: PoolUsage | None, headroom_percent: float) -> None:
        """Take over a measurement."""
        cores = resources.cpu_cores
        has = (floor(cores * 100), floor(resources.memory_total), floor(resources.storage_total))
        available = (
            floor(resources.cpu_available * cores),
            floor(resources.memory_available),
            floor(resources.storage_available),
        )
        usage = (0, 0, 0)
        self.pool_usage = NOTHING
        if pool_usage is not None:
            usage = (
                ceil(resources.cpu_usage * cores),
                ceil(resources.memory_usage),
                ceil(resources.storage_usage),
            )
            self.pool_usage = Amounts(
                floor(pool_usage.cpu), floor(pool_usage.memory), floor(pool_usage.storage)
            )
        taken = zip(usage, has, available, strict=True)
        self.used = Amounts(*(max(use, whole - left) for use, whole, left in taken))
        cpu, memory, storage = (whole - ceil(whole * headroom_percent / 100) for whole in has)
        self.total = Amounts(cpu, memory, storage, int(resources.has_gpu))
        self.closed = not any(available) and any(has)
        self._room = self.total.minus(self.used)
        self._credit = Amounts(*map(min, self.used, self.pool_usage))

    def free(self) -> FreeAmounts:
        """What can be given away now; less than nothing if it is closed."""
        if self.closed:
            return CLOSED
        cpu, memory, storage, gpu = self._room
        own_cpu, own_memory, own_storage, _ = self._credit
        cpu -= self._cpu - (own_cpu if own_cpu < self._cpu else self._cpu)
        memory -= self._memory - (own_memory if own_memory < self._memory else self._memory)
        storage -= self._storage - (own_storage if own_storage < self._storage else self._storage)
        gpu -= self._gpu
        return (
            cpu if cpu > 0 else 0,
            memory if memory > 0 else 0,
            storage if storage > 0 else 0,
            gpu if gpu > 0 else 0,
        )

    def reserve(self, holder: str, amounts: Amounts) -> None:
        """`holder` has these, and had nothing of this device before."""
        self.holders[holder] = amounts
        cpu, memory, storage, gpu = amounts
        self._cpu += cpu
        self._memory += memory
        self._storage += storage
        self._gpu += gpu

    def release(self, holder: str) -> bool:
        """It has nothing any more; whether it had anything."""
        amounts = self.holders.pop(holder, None)
        if amounts is None:
            return False
        cpu, memory, storage, gpu = amounts
        self._cpu -= cpu
        self._memory -= memory
        self._storage -= storage
        self._gpu -= gpu
        return True
