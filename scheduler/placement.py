"""Chooses the devices that serve a request: one if any suffices, else as few as possible.

Pure, and a total order (the device's id breaks ties): the same state gives the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable

from rpn.model import Requirements, Share
from scheduler.amounts import Amounts, Offer, needed, share_of
from scheduler.shortfall import Shortfall, explain
from scheduler.split import split


def place(requirements: Requirements, offers: Iterable[Offer], *, requester: str) -> list[Share] | Shortfall:
    """Shares that add up to `requirements` and exceed no offer, or why there are none.

    The requester's own device serves only what no other can.
    """
    need, offers = needed(requirements), list(offers)
    best = best_fit(need, offers, last=requester)
    if best is not None:
        return [share_of(best, need)]
    shares = split(need, offers, last=requester)
    return explain(need, offers, divisible=True) if shares is None else shares


def best_fit(need: Amounts, offers: Iterable[Offer], *, last: str) -> Offer | None:
    """The device that holds all of `need` and has least left over: GPUs first, then the rest.

    The device `last` is taken only if no other fits.
    """
    fitting = [offer for offer in offers if offer.free.covers(need)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    most_cpu = max(1, *(offer.free.cpu for offer in fitting))
    most_memory = max(1, *(offer.free.memory for offer in fitting))
    most_storage = max(1, *(offer.free.storage for offer in fitting))

    def rank(offer: Offer) -> tuple[bool, int, float, str]:
        cpu, memory, storage, gpu = offer.free
        left = (cpu - need.cpu) / most_cpu
        left += (memory - need.memory) / most_memory
        left += (storage - need.storage) / most_storage
        return offer.device_id == last, gpu - need.gpu, left, offer.device_id

    return min(fitting, key=rank)
