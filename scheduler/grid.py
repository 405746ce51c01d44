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
from typing import NamedTuple

from scheduler.amounts import Amounts
from scheduler.offer import Offer

LARGEST_CLASS = 255
CANDIDATES = 8
"""devices that fit, among which the best is taken"""
LOOKS_A_CELL = 32
"""devices of one cell that are looked at before the next cell has its turn"""

Planes = tuple[int, ...]
May = Callable[[Offer], bool]


class Sought(NamedTuple):
    """What a device must be beside large enough, and how what it has left over is weighed."""

    each_cpu: float
    """what counts as one, of each thing"""
    each_memory: float
    each_storage: float
    may: May | None = None
    """whether it may serve; None: every one may"""
    other_than: str = ""
    """the device that is not meant"""


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

    def tightest(self, planes: Planes, need: Amounts, sought: Sought) -> tuple[Offer | None, bool]:
        """Of up to CANDIDATES a plane that hold `need`, the one with least left; whether no other could.

        Of every class of CPU it looks at those with least memory: what has more fits less tightly.
        """
        least_cpu, least_memory = class_of(need.cpu), class_of(need.memory)
        found: list[tuple[float, str]] = []
        whole = True
        for plane in planes:
            enough = len(found) + CANDIDATES
            rows = self._rows[plane] >> least_cpu << least_cpu
            while rows and len(found) < enough:
                lowest = rows & -rows
                rows ^= lowest
                row, before = plane << 8 | lowest.bit_length() - 1, len(found)
                columns = self._columns[row] >> least_memory << least_memory
                while columns and len(found) == before:
                    lowest = columns & -columns
                    columns ^= lowest
                    whole = self._look(row << 8 | lowest.bit_length() - 1, need, sought, found) and whole
        return (self._offers[min(found)[1]], False) if found else (None, whole)

    def _look(self, cell: int, need: Amounts, sought: Sought, found: list[tuple[float, str]]) -> bool:
        """Add a few of a cell, in an order that only they decide; whether all of it was looked at."""
        cpu, memory, storage, gpu = need
        each_cpu, each_memory, each_storage, may, other_than = sought
        offers, looks, enough = self._offers, 0, len(found) + CANDIDATES // 2
        drawers = self._drawers[cell]
        while drawers:
            lowest = drawers & -drawers
            drawers ^= lowest
            for device_id in self._ids[cell << 4 | lowest.bit_length() - 1]:
                if looks == LOOKS_A_CELL:
                    return False
                looks += 1
                offer = offers[device_id]
                left_cpu, left_memory, left_storage = (
                    offer.cpu - cpu,
                    offer.memory - memory,
                    offer.storage - storage,
                )
                if left_cpu < 0 or left_memory < 0 or left_storage < 0 or offer.gpu < gpu:
                    continue
                if device_id != other_than and (may is None or may(offer)):
                    left = left_cpu / each_cpu + left_memory / each_memory + left_storage / each_storage
                    found.append((left, device_id))
                    if len(found) == enough:
                        return False
        return True

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
