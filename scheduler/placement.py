"""Chooses the devices that serve a demand: one if any suffices, else as few as possible.

Pure, and a total order (the device's id breaks ties): the same state gives the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rpn.model import Share
from scheduler.demand import ANYWHERE, Demand
from scheduler.equal import equal_shares
from scheduler.grid import May, Planes
from scheduler.offer import Offer
from scheduler.shortfall import Shortfall, explain
from scheduler.split import split
from scheduler.stock import Stock


def place(demand: Demand, stock: Stock) -> list[Share] | Shortfall:
    """Shares that add up to what is needed and exceed no offer, or why there are none."""
    shares = find(demand, stock)
    return explain(demand, stock) if shares is None else shares


def find(demand: Demand, stock: Stock) -> list[Share] | None:
    """The shares, if there are any; the requester's own device serves only what no other can."""
    demand = stock.sought(demand)
    if stock.hopeless and stock.hopeless.still(demand.alike, _serves):
        return None
    shares = _found(demand, stock)
    if shares is None:
        stock.hopeless.add(demand.alike)
    return shares


def best_fit(demand: Demand, stock: Stock) -> Offer | None:
    """The device that holds all of it and has least left over: GPUs first, then the rest."""
    demand = stock.sought(demand)
    if stock.hopeless and stock.hopeless.still(demand.alike, _serves):
        return None
    offer = _tightest(demand, stock)
    if offer is None and demand.devices == 1:
        stock.hopeless.add(demand.alike)
    return offer


def _found(demand: Demand, stock: Stock) -> list[Share] | None:
    if demand.devices <= 1:
        offer = _tightest(demand, stock)
        if offer is not None:
            return [offer.share(demand.need)]
    if demand.devices > 1:
        return equal_shares(demand, stock.offers.values())
    if demand.devices == 0 and stock.free.covers(demand.need):
        return split(demand, stock.offers.values())
    return None


def _tightest(demand: Demand, stock: Stock) -> Offer | None:
    if demand.spread:
        return _emptiest(demand, stock)
    if demand.idle:
        return stock.crowd.least(lambda offer: _serves(demand, offer))
    may, whole = _may(demand), True
    for planes in _planes(demand):
        offer, all_seen = stock.grid.tightest(planes, demand.need, stock.typical, may, demand.requester)
        if offer is not None:
            return offer
        whole = whole and all_seen
    if not whole:
        return _best(demand, stock, (each for each in stock.offers.values() if _serves(demand, each)))
    own = stock.offers.get(demand.requester)
    return own if own is not None and _serves(demand, own) else None


def _planes(demand: Demand) -> tuple[Planes, ...]:
    """The planes of the grid in which to look, those without GPUs first if none is needed."""
    if demand.terms.task_type:
        return ((3,),) if demand.need.gpu else ((1,), (3,))
    return ((2, 3),) if demand.need.gpu else ((0, 1), (2, 3))


def _may(demand: Demand) -> May | None:
    """Whether an offer that has room may serve; None if every one may."""
    terms = demand.terms
    if terms is ANYWHERE:
        return None
    if terms.task_type:
        return lambda offer: offer.has_slot and not terms.broken_by(offer)
    return lambda offer: not terms.broken_by(offer)


def _serves(demand: Demand, offer: Offer) -> bool:
    """It has room for all of it, and may serve it."""
    cpu, memory, storage, gpu = demand.need
    return (
        offer.cpu >= cpu
        and offer.memory >= memory
        and offer.storage >= storage
        and offer.gpu >= gpu
        and (not demand.terms.task_type or offer.has_slot)
        and (demand.terms is ANYWHERE or not demand.terms.broken_by(offer))
    )


def _best(demand: Demand, stock: Stock, found: Iterable[Offer]) -> Offer | None:
    """What the grid would choose, of all."""
    cpu, memory, storage, gpu = demand.need
    each_cpu, each_memory, each_storage = stock.typical

    def rank(offer: Offer) -> tuple[bool, int, float, str]:
        left = (offer.cpu - cpu) / each_cpu
        left += (offer.memory - memory) / each_memory
        left += (offer.storage - storage) / each_storage
        return offer.device_id == demand.requester, offer.gpu - gpu, left, offer.device_id

    return min(found, key=rank, default=None)


def _emptiest(demand: Demand, stock: Stock) -> Offer | None:
    """The device with the largest part of itself free."""

    def rank(offer: Offer) -> tuple[bool, int, float, str]:
        gpus = offer.gpu - demand.need.gpu if not demand.need.gpu else 0
        return offer.device_id == demand.requester, gpus, -_part_free(offer), offer.device_id

    fitting: Iterator[Offer] = (offer for offer in stock.offers.values() if _serves(demand, offer))
    return min(fitting, key=rank, default=None)


def _part_free(offer: Offer) -> float:
    """0 to 1, of the scarcer of CPU and memory."""
    total = offer.total
    return min(offer.cpu / max(1, total.cpu), offer.memory / max(1, total.memory))
