"""Chooses the devices that serve a demand: one if any suffices, else as few as possible.

Pure, and a total order (the device's id breaks ties): the same state gives the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rpn.model import Share
from scheduler.demand import ANYWHERE, Demand
from scheduler.equal import equal_shares
from scheduler.grid import class_of
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
    found, whole = _found(demand, stock)
    if not whole and all(offer.device_id == demand.requester for offer in found):
        found += [offer for offer in stock.offers.values() if _serves(demand, offer)]
    return found[0] if len(found) == 1 else _best(demand, stock, found)


def _found(demand: Demand, stock: Stock) -> tuple[list[Offer], bool]:
    """A few that fit, from the tightest cells of the grid; and whether there can be no others."""
    found: list[Offer] = []
    whole = True
    for planes in _planes(demand):
        for plane in planes:
            whole = _search(demand, stock, plane, found) and whole
        if any(offer.device_id != demand.requester for offer in found):
            return found, False
    return found, whole


def _planes(demand: Demand) -> tuple[tuple[int, ...], ...]:
    """The planes of the grid in which to look, those without GPUs first if none is needed."""
    kinds = (1,) if demand.terms.task_type else (0, 1)
    with_gpu = tuple(2 | kind for kind in kinds)
    return (with_gpu,) if demand.need.gpu else (kinds, with_gpu)


def _search(demand: Demand, stock: Stock, plane: int, found: list[Offer]) -> bool:
    """Add up to CANDIDATES of a plane that fit; whether that was every one that might.

    Of every class of CPU it takes those with least memory: what has more fits less tightly.
    """
    grid, whole = stock.grid, True
    least_cpu, least_memory = class_of(demand.need.cpu), class_of(demand.need.memory)
    enough = len(found) + CANDIDATES
    for row in grid.rows(plane, least_cpu):
        before = len(found)
        for cell in grid.cells(row, least_memory):
            whole = _look(demand, grid.inside(cell), found) and whole
            if len(found) > before:
                whole = False
                break
        if len(found) >= enough:
            return False
    return whole


def _look(demand: Demand, offers: Iterator[Offer], found: list[Offer]) -> bool:
    """Add a few of a cell that fit; whether all of it was looked at."""
    enough = len(found) + CANDIDATES // 2
    for looks, offer in enumerate(offers):
        if looks == LOOKS_A_CELL:
            return False
        if _serves(demand, offer):
            found.append(offer)
            if len(found) == enough:
                return False
    return True


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
