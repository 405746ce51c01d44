"""Splits a request that no single device can hold over as few devices as possible.

Every share carries the same fraction of every dimension, because a share with CPU but without
memory runs nothing. Fractions are counted exactly, as whole parts of the smallest number that
all needed amounts divide.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import lcm
from typing import NamedTuple

from rpn.model import Share
from scheduler.amounts import Amounts
from scheduler.demand import Demand
from scheduler.offer import Offer


class Candidate(NamedTuple):
    """A device, and how many parts of the request it could carry."""

    parts: int
    offer: Offer


def split(demand: Demand, offers: Iterable[Offer]) -> list[Share] | None:
    """Shares that add up exactly, or None; the requester's own device only if the others do not do."""
    need, terms = demand.need, demand.terms
    everyone = [offer for offer in offers if not terms.broken_by(offer)]
    others = [offer for offer in everyone if offer.device_id != demand.requester]
    chosen = fewest(need, others)
    if chosen is None and len(others) < len(everyone):
        chosen = fewest(need, everyone)
    return None if chosen is None else _shares(need, chosen)


def fewest(need: Amounts, offers: Iterable[Offer], *, idle: bool = False) -> list[Candidate] | None:
    """As few devices as can carry `need` together (if they were `idle`), the one that gives its GPU first."""
    ranked = candidates(need, offers, idle=idle)
    if need.gpu:
        first = next((each for each in ranked if (each.offer.total if idle else each.offer).gpu), None)
        if first is None:
            return None
        ranked.remove(first)
        ranked.insert(0, first)
    carried = 0
    for count, candidate in enumerate(ranked[: _most_shares(need)], start=1):
        carried += candidate.parts
        if carried >= whole(need):
            return ranked[:count]
    return None


def candidates(need: Amounts, offers: Iterable[Offer], *, idle: bool = False) -> list[Candidate]:
    """Devices that can carry at least a part (if they were `idle`), the ablest first."""
    unit = whole(need)
    scales = [(index, unit // amount) for index, amount in enumerate(need[:3]) if amount]
    if not scales:
        return []
    found = []
    for offer in offers:
        has = offer.total if idle else (offer.cpu, offer.memory, offer.storage)
        parts = min([has[index] * scale for index, scale in scales])
        if parts > 0:
            found.append(Candidate(parts, offer))
    return sorted(found, key=lambda each: (-each.parts, each.offer.gpu, each.offer.device_id))


def whole(need: Amounts) -> int:
    """How many parts the whole request has."""
    return lcm(*(amount for amount in need[:3] if amount))


def _most_shares(need: Amounts) -> int:
    """Every share has at least one unit of everything that is needed."""
    return min((amount for amount in need[:3] if amount), default=0)


def _shares(need: Amounts, chosen: list[Candidate]) -> list[Share]:
    weights = _levelled(whole(need), [candidate.parts for candidate in chosen])
    columns = [
        _dealt(need[index], weights, [candidate.offer.free[index] for candidate in chosen])
        for index in range(3)
    ]
    return [
        candidate.offer.share(Amounts(cpu, memory, storage, need.gpu if place == 0 else 0))
        for place, (candidate, cpu, memory, storage) in enumerate(zip(chosen, *columns, strict=True))
    ]


def _levelled(total: int, limits: list[int]) -> list[int]:
    """`total` in parts as equal as `limits` allow."""
    parts, left = [0] * len(limits), total
    ascending = sorted(range(len(limits)), key=lambda index: limits[index])
    for done, index in enumerate(ascending):
        parts[index] = min(limits[index], left // (len(limits) - done))
        left -= parts[index]
    return parts


def _dealt(amount: int, weights: list[int], limits: list[int]) -> list[int]:
    """`amount` in whole units by weight: at least one each, nobody above their limit."""
    if not amount:
        return [0] * len(weights)
    total, spread = sum(weights), amount - len(weights)
    dealt = [1 + weight * spread // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: -(weights[index] * spread % total))
    left = amount - sum(dealt)
    while left:
        for index in order:
            if left and dealt[index] < limits[index]:
                dealt[index] += 1
                left -= 1
    return dealt
