"""Keeps account of what each device has, what is reserved on it, and what is free."""

from __future__ import annotations

from collections.abc import Mapping

from rpn.replica import Mirrored
from scheduler.account import Account
from scheduler.amounts import Amounts
from scheduler.offer import Offer, kind_of
from scheduler.stock import Stock


class Ledger:
    """The accounts of all devices; what they offer stands ready in `stock`.

    Devices that are lost, silent or have not reported yet keep their accounts and offer nothing.
    """

    def __init__(self, *, headroom_percent: float = 0) -> None:
        """`headroom_percent` of what each device has is never given away."""
        self.stock = Stock()
        self.offers: Mapping[str, Offer] = self.stock.offers
        """the stock's, by device"""
        self._headroom_percent = headroom_percent
        self._accounts: dict[str, Account] = {}
        self._shares: dict[str, dict[str, Amounts]] = {}

    @property
    def total(self) -> Amounts:
        """Of all devices that offer something."""
        return self.stock.total

    @property
    def revision(self) -> int:
        """Grows with every change of what is offered."""
        return self.stock.revision

    @property
    def extent(self) -> int:
        """Grows when a device comes, goes, or changes its totals or its kind."""
        return self.stock.extent

    def update(self, device: Mirrored, *, silent: bool = False) -> None:
        """Take over what the mirror knows about a device; one that is silent offers nothing."""
        account = self._account(device.id)
        account.report(device.resources, device.pool_usage, self._headroom_percent)
        free, kind = account.free(), kind_of(device.identity)
        why = _away(device, silent=silent)
        offer = self.offers.get(device.id)
        if (
            why
            or offer is None
            or (offer.total, offer.kind, offer.device_name)
            != (
                account.total,
                kind,
                device.identity.name,
            )
        ):
            offer = Offer(device.id, device.identity.name, Amounts(*free), account.total, kind)
            offer.held = len(account.holders)
            self.stock.set_aside(offer, why) if why else self.stock.put(offer)
        else:
            self.stock.fill(offer, *free)

    def remove(self, device_id: str) -> None:
        """Forget a device and all that was reserved on it."""
        account = self._accounts.pop(device_id, None)
        self.stock.remove(device_id)
        for holder in account.holders if account is not None else ():
            self._forget_share(holder, device_id)

    def reserve(self, holder: str, device_id: str, amounts: Amounts) -> None:
        """`holder` has `amounts` of this device, whatever it had of it before."""
        account = self._accounts.get(device_id) or self._account(device_id)
        if holder in account.holders:
            account.release(holder)
        account.reserve(holder, amounts)
        shares = self._shares.get(holder)
        if shares is None:
            self._shares[holder] = {device_id: amounts}
        else:
            shares[device_id] = amounts
        self._refresh(device_id, account)

    def release(self, holder: str) -> None:
        """`holder` gives back all it has."""
        for device_id in self._shares.pop(holder, ()):
            account = self._accounts[device_id]
            account.release(holder)
            self._refresh(device_id, account)

    def release_share(self, holder: str, device_id: str) -> None:
        """`holder` gives back what it has of one device."""
        account = self._accounts.get(device_id)
        if account is not None and account.release(holder):
            self._forget_share(holder, device_id)
            self._refresh(device_id, account)

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
        account = self._accounts.get(device_id)
        if account is None:
            account = self._accounts[device_id] = Account()
        return account

    def _forget_share(self, holder: str, device_id: str) -> None:
        shares = self._shares[holder]
        del shares[device_id]
        if not shares:
            del self._shares[holder]

    def _refresh(self, device_id: str, account: Account) -> None:
        offer = self.offers.get(device_id)
        if offer is not None:
            cpu, memory, storage, gpu = account.free()
            self.stock.fill(offer, cpu, memory, storage, gpu)
            self.stock.hold(offer, len(account.holders))


def _away(device: Mirrored, *, silent: bool) -> str:
    """Why a device offers nothing; empty if it does."""
    if device.lost:
        return "lost"
    if not device.frame:
        return "unreported"
    return "silent" if silent else ""
