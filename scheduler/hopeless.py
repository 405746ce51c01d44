"""Remembers what has no place, until something comes that could give it one.

What is given back makes only that worth another try which fits there now: of a demand that one
device must serve, only the devices that have grown since are looked at again.
"""

from __future__ import annotations

from collections.abc import Callable

from scheduler.demand import Demand
from scheduler.offer import Offer

REMEMBERED_LIMIT, GROWN_LIMIT = 4096, 4096
"""demands, and devices that grew; beyond that all is tried anew"""

Serves = Callable[[Demand, Offer], bool]


class Hopeless:
    """Demands of a stock, without their requesters: who asks makes no difference here."""

    def __init__(self) -> None:
        self._seen: dict[Demand, int] = {}
        """how many of the devices that grew were looked at for it"""
        self._grown: list[Offer] = []

    def __bool__(self) -> bool:
        return bool(self._seen)

    def add(self, demand: Demand) -> None:
        """It was looked for everywhere, in vain."""
        if len(self._seen) >= REMEMBERED_LIMIT:
            self._seen.clear()
        self._seen[demand] = len(self._grown)

    def still(self, demand: Demand, serves: Serves) -> bool:
        """Whether it surely has no place now."""
        seen = self._seen.get(demand)
        if seen is None:
            return False
        grown = self._grown
        if seen == len(grown):
            return True
        if demand.devices != 1 or any(serves(demand, grown[place]) for place in range(seen, len(grown))):
            del self._seen[demand]
            return False
        self._seen[demand] = len(grown)
        return True

    def grew(self, offer: Offer) -> None:
        """It has more to give than before."""
        if not self._seen:
            return
        self._grown.append(offer)
        if len(self._grown) >= GROWN_LIMIT:
            self.clear()

    def clear(self) -> None:
        """Devices have come or gone, or are others than before."""
        self._seen.clear()
        self._grown.clear()
