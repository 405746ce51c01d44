"""Keeps account of what each device has, what is reserved on it, and what is free.

Reservation and observed use must not count the same work twice, nor may capacity be given away
twice. An agent says how much of its use is the pool's own work, so

    free = total - max(0, used - min(pool usage, reserved)) - reserved

where `used` is its usage, or more if its owner withholds more: total - available. A plain client
does not say, so `free = available - reserved`, which errs on the safe side. A GPU has one holder
at a time. A device that is lost or has not reported offers nothing; one whose owner withholds all
of it is closed: not even what needs nothing is put there.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor

from rpn.model import PoolUsage, Resources
from rpn.replica import Mirrored
from scheduler.amounts import CLOSED, NOTHING, Amounts, Offer


class Account:
    """One device's: what it reported, and who holds how much of it."""

    __slots__ = ("available", "holders", "pool_usage", "reserved", "total", "usage")

    def __init__(self) -> None:
        self.total = NOTHING
        self.available = NOTHING
        self.usage = NOTHING
        self.pool_usage: Amounts | None = None
        """None: the device does not tell"""
        self.reserved = NOTHING
        self.holders: dict[str, Amounts] = {}

    def report(self, resources: Resources, pool_usage: PoolUsage | None) -> None:
        gpu = int(resources.has_gpu)
        cores = resources.cpu_cores
        self.total = Amounts(
            floor(cores * 100), floor(resources.memory_total), floor(resources.storage_total), gpu
        )
        self.available = Amounts(
            floor(resources.cpu_available * cores),
            floor(resources.memory_available),
            floor(resources.storage_available),
            gpu,
        )
        self.usage = Amounts(
            ceil(resources.cpu_usage * cores), ceil(resources.memory_usage), ceil(resources.storage_usage)
        )
        self.pool_usage = None
        if pool_usage is not None:
            self.pool_usage = Amounts(
                floor(pool_usage.cpu), floor(pool_usage.memory), floor(pool_usage.storage)
            )

    @property
    def free(self) -> Amounts:
        """What can be given away now: never more than the total, and negative only if closed."""
        if self.closed:
            return CLOSED
        return Amounts(*(self._free(index) for index in range(4)))

    @property
    def closed(self) -> bool:
        """It has something, of which nothing at all is available."""
        return not any(self.available[:3]) and any(self.total[:3])

    def _free(self, index: int) -> int:
        total, reserved = self.total[index], self.reserved[index]
        if self.pool_usage is None or index == 3:
            free = self.available[index] - reserved
        else:
            used = max(self.usage[index], total - self.available[index])
            foreign = max(0, used - min(self.pool_usage[index], reserved))
            free = total - foreign - reserved
        return max(0, min(free, total - reserved))


class Ledger:
    """The accounts of all devices; what they offer stands ready in `offers`."""

    def __init__(self) -> None:
        self.offers: dict[str, Offer] = {}
        self.workers: dict[str, Offer] = {}
        """offers of the devices that run tasks"""
        self.total = NOTHING
        """of all devices that offer something"""
        self.revision = 0
        """grows with every change"""
        self.extent = 0
        """grows when a device comes, goes or changes its totals"""
        self._accounts: dict[str, Account] = {}
        self._shares: dict[str, dict[str, Amounts]] = {}

    def update(self, device: Mirrored) -> None:
        """Take over what the mirror knows about a device."""
        account = self._account(device.id)
        account.report(device.resources, device.pool_usage)
        if device.lost or not device.frame:
            self._withdraw(device.id)
        else:
            runs_tasks = "tasks" in device.identity.accepts
            self._put(Offer(device.id, device.identity.name, account.free, account.total, runs_tasks))

    def remove(self, device_id: str) -> None:
        """Forget a device and all that was reserved on it."""
        account = self._accounts.pop(device_id, None)
        self._withdraw(device_id)
        for holder in account.holders if account is not None else ():
            self._forget_share(holder, device_id)

    def reserve(self, holder: str, device_id: str, amounts: Amounts) -> None:
        """`holder` has `amounts` of this device, whatever it had of it before."""
        self.release_share(holder, device_id)
        account = self._account(device_id)
        account.holders[holder] = amounts
        account.reserved = account.reserved.plus(amounts)
        self._shares.setdefault(holder, {})[device_id] = amounts
        self._refresh(device_id)

    def release(self, holder: str) -> None:
        """`holder` gives back all it has."""
        for device_id in list(self._shares.get(holder, ())):
            self.release_share(holder, device_id)

    def release_share(self, holder: str, device_id: str) -> None:
        """`holder` gives back what it has of one device."""
        account = self._accounts.get(device_id)
        amounts = account.holders.pop(holder, None) if account is not None else None
        if account is None or amounts is None:
            return
        account.reserved = account.reserved.minus(amounts)
        self._forget_share(holder, device_id)
        self._refresh(device_id)

    def holders(self, device_id: str) -> Mapping[str, Amounts]:
        """Who holds how much of a device."""
        account = self._accounts.get(device_id)
        return account.holders if account is not None else {}

    def shares(self, holder: str) -> Mapping[str, Amounts]:
        """What a holder has, by device."""
        return self._shares.get(holder, {})

    def devices(self) -> list[str]:
        """Every device that has an account."""
        return list(self._accounts)

    def _account(self, device_id: str) -> Account:
        return self._accounts.setdefault(device_id, Account())

    def _forget_share(self, holder: str, device_id: str) -> None:
        shares = self._shares[holder]
        del shares[device_id]
        if not shares:
            del self._shares[holder]

    def _refresh(self, device_id: str) -> None:
        offer = self.offers.get(device_id)
        if offer is not None:
            self._put(offer._replace(free=self._accounts[device_id].free))

    def _put(self, offer: Offer) -> None:
        before = self.offers.get(offer.device_id)
        if before == offer:
            return
        self.revision += 1
        self.offers[offer.device_id] = offer
        if offer.runs_tasks:
            self.workers[offer.device_id] = offer
        else:
            self.workers.pop(offer.device_id, None)
        if before is None or before.total != offer.total or before.runs_tasks != offer.runs_tasks:
            self.extent += 1
            self.total = self.total.minus(before.total if before else NOTHING).plus(offer.total)

    def _withdraw(self, device_id: str) -> None:
        offer = self.offers.pop(device_id, None)
        self.workers.pop(device_id, None)
        if offer is not None:
            self.total = self.total.minus(offer.total)
            self.revision += 1
            self.extent += 1
