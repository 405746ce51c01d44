"""Which device that runs tasks has the fewest of them: where work goes that needs nothing."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from scheduler.offer import Offer


class Crowd:
    """A heap of what was true at some time; what is not true any more is thrown out when it comes up."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._offers: dict[str, Offer] = {}

    def put(self, offer: Offer) -> None:
        """It is there, or has another number of holders than before."""
        self._offers[offer.device_id] = offer
        if len(self._heap) > 64 + 4 * len(self._offers):
            self._heap = [(each.held, each.device_id) for each in self._offers.values()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (offer.held, offer.device_id))

    def remove(self, offer: Offer) -> None:
        self._offers.pop(offer.device_id, None)

    def least(self, serves: Callable[[Offer], bool]) -> Offer | None:
        """The one with the fewest holders among those that serve."""
        passed: list[tuple[int, str]] = []
        found: Offer | None = None
        while self._heap and found is None:
            held, device_id = self._heap[0]
            offer = self._offers.get(device_id)
            if offer is not None and offer.held == held and serves(offer):
                found = offer
            else:
                heapq.heappop(self._heap)
                if offer is not None and offer.held == held:
                    passed.append((held, device_id))
        for entry in set(passed):
            heapq.heappush(self._heap, entry)
        return found
