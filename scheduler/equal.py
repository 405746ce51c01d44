"""Deals a demand to exactly so many devices, an equal share each."""

from __future__ import annotations

from collections.abc import Iterable

from rpn.model import Share
from scheduler.amounts import Amounts
from scheduler.demand import Demand
from scheduler.offer import Offer


def equal_shares(demand: Demand, offers: Iterable[Offer]) -> list[Share] | None:
    """As many shares as `demand.devices`; they differ by one unit where it does not divide evenly.

    None if not so many devices have room for one. A GPU goes to one of them.
    """
    count, need = demand.devices, demand.need
    least = Amounts(need.cpu // count, need.memory // count, need.storage // count)
    able = [offer for offer in offers if offer.free.covers(least) and not demand.terms.broken_by(offer)]
    chosen = _chosen(demand, able, least)
    if chosen is None:
        return None
    columns = [_dealt(need[index], least[index], chosen, index) for index in range(3)]
    if None in columns:
        return None
    cpu, memory, storage = (column or [] for column in columns)
    return [
        offer.share(Amounts(cpu[place], memory[place], storage[place], int(need.gpu and place == 0)))
        for place, offer in enumerate(chosen)
    ]


def _chosen(demand: Demand, able: list[Offer], least: Amounts) -> list[Offer] | None:
    """The devices, the one that gives its GPU first; the requester's own comes last."""
    sign = -1 if demand.spread else 1
    parts = zip(least, demand.need, strict=True)
    most = Amounts(*(part + (part * demand.devices < whole) for part, whole in parts))

    def rank(offer: Offer) -> tuple[bool, bool, int, int, int, str]:
        own, cramped = offer.device_id == demand.requester, not offer.free.covers(most._replace(gpu=0))
        return own, cramped, offer.gpu, sign * offer.cpu, sign * offer.memory, offer.device_id

    ranked = sorted(able, key=rank)
    if demand.need.gpu:
        first = next((offer for offer in ranked if offer.gpu), None)
        if first is None:
            return None
        ranked.remove(first)
        ranked.insert(0, first)
    return ranked[: demand.devices] if len(ranked) >= demand.devices else None


def _dealt(amount: int, least: int, chosen: list[Offer], index: int) -> list[int] | None:
    """`amount` in whole units, `least` each and one more where there is room; None if there is too little."""
    left = amount - least * len(chosen)
    dealt = []
    for offer in chosen:
        more = int(left > 0 and offer.free[index] > least)
        dealt.append(least + more)
        left -= more
    return None if left else dealt
