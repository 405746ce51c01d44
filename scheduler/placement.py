"""Chooses the devices that serve a demand: one if any suffices, else as few as possible.

Pure, and a total order (the device's id breaks ties): the same state gives the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rpn.model import Share
from scheduler.demand import ANYWHERE, Demand
from scheduler.equal import equal_shares
from scheduler.offer import Offer
from scheduler.shortfall import Shortfall, explain
from scheduler.split import split
from scheduler.stock import Stock

CANDIDATES = 8
"""devices that fit, among which the best is taken"""
LOOKS_A_CELL = 32
"""devices of one cell of the grid that are looked at before the next cell has its turn"""


def place(demand: Demand, stock: Stock) -> list[Share] | Shortfall:
    """Shares that add up to what is needed and exceed no offer, or why there are none.

    The requester's own device serves only what no other can.
    """
    if demand.devices <= 1:
        offer = best_fit(demand, stock)
        if offer is not None:
            return [offer.share(demand.need)]
    shares = None
    if demand.devices > 1:
        shares = equal_shares(demand, stock.offers.values())
    elif demand.devices == 0:
        shares = split(demand, stock.offers.values())
    return explain(demand, stock) if shares is None else shares


def best_fit(demand: Demand, stock: Stock) -> Offer | None:
    """The device that holds all of it and has least left over: GPUs first, then the rest."""
    demand = stock.sought(demand)
    if demand.spread:
        return _emptiest(demand, stock)
    if demand.idle:
        return stock.crowd.least(lambda offer: _serves(demand, offer))
    found = _found(demand, stock)
    if not found or all(offer.device_id == demand.requester for offer in found):
        found += _overlooked(demand, stock)
    return _best(demand, stock, found)


def _found(demand: Demand, stock: Stock) -> list[Offer]:
    """A few that fit, from the tightest cells of the grid."""
    found: list[Offer] = []
    for planes in _planes(demand):
        for plane in planes:
            found += _fitting(demand, stock, plane)
        if any(offer.device_id != demand.requester for offer in found):
            break
    return found


def _planes(demand: Demand) -> tuple[tuple[int, ...], ...]:
    """The planes of the grid in which to look, those without GPUs first if none is needed."""
    kinds = (1,) if demand.terms.task_type else (0, 1)
    with_gpu = tuple(2 | kind for kind in kinds)
    return (with_gpu,) if demand.need.gpu else (kinds, with_gpu)


def _fitting(demand: Demand, stock: Stock, plane: int) -> list[Offer]:
    """Up to CANDIDATES of a plane that fit; of every class of CPU those with least memory."""
    found: list[Offer] = []
    row_done = -1
    for row, _, cell in stock.grid.cells(plane, demand.need):
        if row == row_done:
            continue
        before = len(found)
        for looks, offer in enumerate(stock.grid.inside(cell)):
            if looks == LOOKS_A_CELL or len(found) - before == CANDIDATES // 2:
                break
            if _serves(demand, offer):
                found.append(offer)
        if len(found) > before:
            row_done = row  # what has more memory fits less tightly
        if len(found) >= CANDIDATES:
            break
    return found


def _overlooked(demand: Demand, stock: Stock) -> list[Offer]:
    """All that fit: some may lie where we did not look."""
    return [offer for offer in stock.offers.values() if _serves(demand, offer)]


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
