"""Says why a request does not fit, in numbers for programs and in one sentence for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from rpn import model
from rpn.model import Reason
from scheduler.amounts import Amounts, Offer
from scheduler.split import candidates, fewest, whole

UNITS = {"cpu": "core-percent", "memory": "MB memory", "storage": "MB storage", "gpu": "GPU"}


class NearMiss(NamedTuple):
    """The device that came closest, and what it lacks."""

    device_id: str
    device_name: str
    missing: dict[str, int]


class Shortfall(NamedTuple):
    """Why nothing was reserved; every device is counted once, for the first thing it lacks."""

    devices: int
    filtered: dict[str, int]
    """devices that could not hold it even if they were idle"""
    exhausted: dict[str, int]
    """devices that could, but not now"""
    nearest: NearMiss | None
    percent: int
    """how much of it all devices together could carry now, if it may be split"""
    feasible: bool
    """whether the pool could hold it if it were idle"""

    @property
    def code(self) -> str:
        return "INSUFFICIENT" if self.feasible else "INFEASIBLE"

    @property
    def reason(self) -> Reason:
        """As it is told."""
        return Reason(
            code="INSUFFICIENT" if self.feasible else "INFEASIBLE",
            message=self.sentence,
            devices=self.devices,
            filtered=self.filtered,
            exhausted=self.exhausted,
            nearest=self.nearest and model.NearMiss(*self.nearest),
        )

    @property
    def sentence(self) -> str:
        if not self.devices:
            return "no device of the pool offers anything"
        when = "not now" if self.feasible else "never, as the pool is"
        text = f"{when}: of {self.devices} devices {_counted(self.filtered)} are too small"
        text += f" and {_counted(self.exhausted)} are too busy"
        if self.percent:
            text += f"; together they could carry {self.percent} % of it"
        if self.nearest is not None:
            lacks = ", ".join(f"{amount} {UNITS[name]}" for name, amount in self.nearest.missing.items())
            text += f"; the nearest is {self.nearest.device_name}, which lacks {lacks}"
        return text


def explain(need: Amounts, offers: Iterable[Offer], *, divisible: bool) -> Shortfall:
    """Why none of `offers` can hold `need` alone, nor, if it is divisible, all of them together."""
    offers = list(offers)
    filtered: Counter[str] = Counter()
    exhausted: Counter[str] = Counter()
    for offer in offers:
        if offer.total.covers(need):
            exhausted[_first_lack(offer.free, need)] += 1
        else:
            filtered[_first_lack(offer.total, need)] += 1
    return Shortfall(
        devices=len(offers),
        filtered=dict(filtered),
        exhausted=dict(exhausted),
        nearest=_nearest(need, offers),
        percent=_percent(need, offers) if divisible else 0,
        feasible=feasible(need, offers, divisible=divisible),
    )


def feasible(need: Amounts, offers: Iterable[Offer], *, divisible: bool) -> bool:
    """Whether `need` would fit if every device were idle."""
    offers = list(offers)
    if any(offer.total.covers(need) for offer in offers):
        return True
    return divisible and fewest(need, [offer._replace(free=offer.total) for offer in offers]) is not None


def _first_lack(has: Amounts, need: Amounts) -> str:
    return next(iter(_lacks(has, need)))


def _lacks(has: Amounts, need: Amounts) -> dict[str, int]:
    """What is missing, the scarcest kind of thing first."""
    return {
        name: getattr(need, name) - getattr(has, name)
        for name in ("gpu", "cpu", "memory", "storage")
        if getattr(need, name) > getattr(has, name)
    }


def _nearest(need: Amounts, offers: list[Offer]) -> NearMiss | None:
    able = [candidate.offer for candidate in candidates(need, offers)]
    able = able or sorted(offers, key=lambda offer: offer.device_id)
    if not able:
        return None
    nearest = next((offer for offer in able if offer.free.gpu >= need.gpu), able[0])
    return NearMiss(nearest.device_id, nearest.device_name, _lacks(nearest.free, need))


def _percent(need: Amounts, offers: list[Offer]) -> int:
    carried = sum(candidate.parts for candidate in candidates(need, offers))
    return min(100, carried * 100 // whole(need))


def _counted(counts: dict[str, int]) -> str:
    """`3 (2 cpu, 1 gpu)`"""
    if not counts:
        return "0"
    return f"{sum(counts.values())} ({', '.join(f'{count} {name}' for name, count in counts.items())})"
