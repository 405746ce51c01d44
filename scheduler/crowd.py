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
        self._changed: set[str] = set()
        """not in the heap as they are now"""

    def put(self, offer: Offer) -> None:
        """It is there, or has another number of holders than before."""
        self._offers[offer.device_id] = offer
        self._changed.add(offer.device_id)

    def remove(self, offer: Offer) -> None:
        self._offers.pop(offer.device_id, None)

    def least(self, serves: Callable[[Offer], bool]) -> Offer | None:
        """The one with the fewest holders among those that serve."""
        self._sort_in()
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

    def _sort_in(self) -> None:
        """What has changed since somebody last asked."""
        offers, changed, self._changed = self._offers, self._changed, set()
        if len(self._heap) + len(changed) > 64 + 4 * len(offers):
            self._heap = [(each.held, each.device_id) for each in offers.values()]
            heapq.heapify(self._heap)
            return
        for device_id in changed & offers.keys():
            heapq.heappush(self._heap, (offers[device_id].held, device_id))
