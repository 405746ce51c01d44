"""Finds a device that holds a need without looking at all of them.

Devices lie in cells, by what they have free: GPU, and classes of CPU and memory, four to an
octave. Which cells are filled stands in the bits of a few integers, so the search goes straight to
the cells that are just big enough, and looks into the devices of few. Devices that run tasks lie
in planes of their own, so a task meets no other. A cell is kept in the order of the devices' ids,
in several drawers so that none gets long: the same devices lie in the same order, however they
came there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping

from scheduler.amounts import Amounts
from scheduler.offer import Offer

LARGEST_CLASS = 255
CELLS, CANDIDATES = 2, 4
"""cells in which something fits, and devices that fit in each, among which the best is taken"""
LOOKS = 32
"""devices of one cell that are looked at before the next cell has its turn"""

Planes = tuple[int, ...]
May = Callable[[Offer], bool]
Each = tuple[float, float, float]
Found = tuple[float, str]
"""what it would have left over, and whose it is"""


def class_of(amount: int) -> int:
    """The class of an amount: exact up to 8, then four to an octave."""
    octave = amount.bit_length() - 3
    return (octave << 2) + (amount >> octave) if octave > 0 else amount


def least_of(number: int) -> int:
    """The smallest amount of a class."""
    return number if number < 8 else (4 + number % 4) << (number // 4 - 1)


LEAST = [least_of(number) for number in range(LARGEST_CLASS + 1)]


class Grid:
    """All offers that are not closed; the offers themselves are the stock's."""

    def __init__(self, offers: Mapping[str, Offer]) -> None:
        self._offers = offers
        self._rows = [0, 0, 0, 0]
        """by plane: which classes of CPU there are"""
        self._columns: dict[int, int] = {}
        """by plane and class of CPU: which classes of memory there are"""
        self._drawers: dict[int, int] = {}
        """by cell: which drawers have something in them"""
        self._ids: dict[int, list[str]] = {}
        """by cell and drawer: sorted"""

    def move(self, offer: Offer) -> None:
        """Lay an offer where it belongs now."""
        cpu, memory = offer.cpu, offer.memory
        if cpu < 0:
            self.remove(offer)
            return
        octave = cpu.bit_length() - 3
        row = (octave << 2) + (cpu >> octave) if octave > 0 else cpu
        octave = memory.bit_length() - 3
        column = (octave << 2) + (memory >> octave) if octave > 0 else memory
        plane = (offer.gpu > 0) << 1 | offer.kind.runs_tasks
        spot = ((plane << 8 | row) << 8 | column) << 4 | offer.drawer
        if spot != offer.spot:
            if offer.spot >= 0:
                self._take_out(offer)
            self._put_in(offer, spot)

    def remove(self, offer: Offer) -> None:
        """It is nowhere from now on."""
        if offer.spot >= 0:
            self._take_out(offer)
            offer.spot = -1

    def tightest(
        self, planes: Planes, need: Amounts, each: Each, may: May | None, other_than: str
    ) -> tuple[Offer | None, bool]:
        """Of a few that hold `need`, the one with least left over; and whether surely no other could.

        `each` is how much counts as one, of CPU, memory and storage. Of every class of CPU it looks at
        those with least memory: what has more fits less tightly. It ends where CPU alone leaves more.
        """
        least_cpu, least_memory = class_of(need.cpu), class_of(need.memory)
        best: Found | None = None
        whole = True
        for plane in planes:
            cells = CELLS
            rows = self._rows[plane] >> least_cpu << least_cpu
            while rows and cells:
                lowest = rows & -rows
                rows ^= lowest
                number = lowest.bit_length() - 1
                if best is not None and (LEAST[number] - need.cpu) / each[0] > best[0]:
                    break
                columns = self._columns[plane << 8 | number] >> least_memory << least_memory
                while columns:
                    lowest = columns & -columns
                    columns ^= lowest
                    cell = (plane << 8 | number) << 8 | lowest.bit_length() - 1
                    found, seen = self._look(cell, need, each, may, other_than)
                    whole = whole and seen
                    if found is not None:
                        cells -= 1
                        best = found if best is None or found < best else best
                        break
        return (self._offers[best[1]], False) if best is not None else (None, whole)

    def _look(
        self, cell: int, need: Amounts, each: Each, may: May | None, other_than: str
    ) -> tuple[Found | None, bool]:
        """The tightest of a few of a cell, in an order that only they decide; whether all were looked at."""
        cpu, memory, storage, gpu = need
        each_cpu, each_memory, each_storage = each
        offers, looks, count = self._offers, 0, 0
        best: Found | None = None
        drawers = self._drawers[cell]
        while drawers:
            lowest = drawers & -drawers
            drawers ^= lowest
            for device_id in self._ids[cell << 4 | lowest.bit_length() - 1]:
                if looks == LOOKS or count == CANDIDATES:
                    return best, False
                looks += 1
                offer = offers[device_id]
                if offer.cpu < cpu or offer.memory < memory or offer.storage < storage or offer.gpu < gpu:
                    continue
                if device_id != other_than and (may is None or may(offer)):
                    count += 1
                    left = (offer.cpu - cpu) / each_cpu + (offer.memory - memory) / each_memory
                    left += (offer.storage - storage) / each_storage
                    if best is None or left < best[0] or (left == best[0] and device_id < best[1]):
                        best = left, device_id
        return best, True

    def _put_in(self, offer: Offer, spot: int) -> None:
        offer.spot = spot
        ids = self._ids.get(spot)
        if ids is not None:
            insort(ids, offer.device_id)
            return
        self._ids[spot] = [offer.device_id]
        cell = spot >> 4
        drawers = self._drawers.get(cell, 0)
        self._drawers[cell] = drawers | 1 << (spot & 15)
        if not drawers:
            key = cell >> 8
            self._columns[key] = self._columns.get(key, 0) | 1 << (cell & 255)
            self._rows[key >> 8] |= 1 << (key & 255)

    def _take_out(self, offer: Offer) -> None:
        spot = offer.spot
        ids = self._ids[spot]
        if len(ids) > 1:
            del ids[bisect_left(ids, offer.device_id)]
            return
        del self._ids[spot]
        cell = spot >> 4
        self._drawers[cell] ^= 1 << (spot & 15)
        if not self._drawers[cell]:
            del self._drawers[cell]
            key = cell >> 8
            self._columns[key] ^= 1 << (cell & 255)
            if not self._columns[key]:
                self._rows[key >> 8] ^= 1 << (key & 255)
