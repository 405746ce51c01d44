"""Says why a demand does not fit, in numbers for programs and in one sentence for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from rpn import model
from rpn.model import Reason
from scheduler.amounts import Amounts, in_words
from scheduler.demand import Demand
from scheduler.equal import equal_shares
from scheduler.offer import Offer
from scheduler.split import candidates, fewest, whole
from scheduler.stock import Stock

NEVER = "never, as the pool is"
WITHHELD = "withheld"
"""its owner leaves nothing of it"""
ASKERS_TERMS = ("labels", "exclude", "self")
SLOTS = "slots"
"""it has as many tasks as a device may have"""


class NearMiss(NamedTuple):
    """The device that came closest, and what it lacks."""

    device_id: str
    device_name: str
    missing: dict[str, int]


class Shortfall(NamedTuple):
    """Why nothing was reserved; every device is counted once, for the first thing it lacks."""

    devices: int
    filtered: dict[str, int]
    """devices that could not serve it even if they were idle"""
    exhausted: dict[str, int]
    """devices that could, but not now"""
    nearest: NearMiss | None
    percent: int
    """how much of it all devices together could carry now, if it may be split"""
    feasible: bool
    """whether the pool could hold it if it were idle"""
    allowed: int = 1
    """devices that may serve it at all"""
    asked: int = 1
    """devices that it asks for"""
    change: dict[str, int] | None = None
    """the smallest that would let it fit now: dimensions to be lowered, and to what"""

    @property
    def reason(self) -> Reason:
        """As it is told."""
        code = "INSUFFICIENT" if self.feasible else "INFEASIBLE"
        return Reason(
            code="CONSTRAINT" if self.barred else code,  # type: ignore[arg-type]
            message=self.sentence,
            devices=self.devices,
            filtered=self.filtered,
            exhausted=self.exhausted,
            nearest=self.nearest and model.NearMiss(*self.nearest),
            change=self.change,
        )

    @property
    def barred(self) -> bool:
        """What the asker says of the devices leaves none."""
        return not self.allowed and any(why in self.filtered for why in ASKERS_TERMS)

    @property
    def sentence(self) -> str:
        if not self.devices:
            return "no device of the pool offers anything"
        if self.barred:
            return f"none of {self.devices} devices may serve it: {_counted(self.filtered)}"
        if self.asked > self.allowed:
            there = f"the pool has {self.allowed} that may serve it"
            return f"{NEVER}: it asks for {self.asked} devices, and {there}"
        when = "not now" if self.feasible else NEVER
        text = f"{when}: of {self.devices} devices {_counted(self.filtered)} cannot hold it"
        text += f" and {_counted(self.exhausted)} are too busy"
        if self.percent:
            text += f"; together they could carry {self.percent} % of it"
        if self.nearest is not None and self.nearest.missing:
            lacks = ", ".join(in_words(name, amount) for name, amount in self.nearest.missing.items())
            text += f"; the nearest is {self.nearest.device_name}, which lacks {lacks}"
        return text


def explain(demand: Demand, stock: Stock) -> Shortfall:
    """Why no device of the pool can serve it alone, nor, if it is divisible, all of them together."""
    demand = stock.sought(demand)
    need, terms = demand.need, demand.terms
    filtered: Counter[str] = Counter(why for _, why in stock.away.values())
    exhausted: Counter[str] = Counter()
    allowed: list[Offer] = []
    for offer in stock.offers.values():
        broken = terms.broken_by(offer)
        if broken:
            filtered[broken] += 1
            continue
        allowed.append(offer)
        if offer.total.covers(need):
            exhausted[_why_busy(offer, need)] += 1
        else:
            filtered[_first_lack(offer.total, need)] += 1
    return Shortfall(
        devices=len(stock.offers) + len(stock.away),
        filtered=dict(filtered),
        exhausted=dict(exhausted),
        nearest=_nearest(need, allowed),
        percent=_percent(need, allowed) if demand.divisible else 0,
        feasible=feasible(demand, stock),
        allowed=len(allowed),
        asked=max(1, demand.devices),
        change=_change(need, allowed) if demand.devices <= len(allowed) else None,
    )


def feasible(demand: Demand, stock: Stock) -> bool:
    """Whether it would fit if every device were idle; found out once for each state of the pool."""
    asked = stock.sought(demand).alike
    known = stock.feasibility.get(asked)
    if known is None:
        known = stock.feasibility[asked] = _feasible(asked, stock.offers.values())
    return known


def _feasible(demand: Demand, offers: Iterable[Offer]) -> bool:
    allowed = [offer for offer in offers if not demand.terms.broken_by(offer)]
    if demand.devices > 1:
        idle = [Offer(each.device_id, "", each.total, each.total, each.kind) for each in allowed]
        return equal_shares(demand, idle) is not None
    if any(offer.total.covers(demand.need) for offer in allowed):
        return True
    return demand.devices == 0 and fewest(demand.need, allowed, idle=True) is not None


def _why_busy(offer: Offer, need: Amounts) -> str:
    """What of it is taken; nothing is if several devices were asked for, of which it is one."""
    if offer.closed:
        return WITHHELD
    return next(iter(_lacks(offer.free, need)), SLOTS if not offer.has_slot else "devices")


def _first_lack(has: Amounts, need: Amounts) -> str:
    return next(iter(_lacks(has, need)))


def _lacks(has: Amounts, need: Amounts) -> dict[str, int]:
    """What is missing, the scarcest kind of thing first."""
    return {
        name: getattr(need, name) - max(0, getattr(has, name))
        for name in ("gpu", "cpu", "memory", "storage")
        if getattr(need, name) > getattr(has, name)
    }


def _nearest(need: Amounts, offers: list[Offer]) -> NearMiss | None:
    able = [candidate.offer for candidate in candidates(need, offers)]
    able = able or sorted(offers, key=lambda offer: offer.device_id)
    if not able:
        return None
    nearest = next((offer for offer in able if offer.gpu >= need.gpu), able[0])
    return NearMiss(nearest.device_id, nearest.device_name, _lacks(nearest.free, need))


def _change(need: Amounts, offers: list[Offer]) -> dict[str, int] | None:
    """Of all that would let it fit on one device now, what leaves most of it: one thing, or several."""
    best: tuple[float, str, dict[str, int]] | None = None
    for offer in offers:
        if offer.closed:
            continue
        lacks = _lacks(offer.free, need)
        change = {name: max(0, getattr(offer, name)) for name in lacks}
        kept = sum(1 - change[name] / getattr(need, name) for name in lacks)
        if lacks and (best is None or (kept, offer.device_id) < best[:2]):
            best = kept, offer.device_id, change
    return best[2] if best is not None else None


def _percent(need: Amounts, offers: list[Offer]) -> int:
    carried = sum(candidate.parts for candidate in candidates(need, offers))
    return min(100, carried * 100 // whole(need)) if any(need[:3]) else 0


def _counted(counts: dict[str, int]) -> str:
    """`3 (2 cpu, 1 gpu)`"""
    if not counts:
        return "0"
    return f"{sum(counts.values())} ({', '.join(f'{count} {name}' for name, count in counts.items())})"
