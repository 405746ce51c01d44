"""How well and how fast placement serves demand, beside the scoring of other schedulers.

`python -m bench.placement`: served demand of the same arrivals on the same 1,000 devices, and pairs of
release and placement a second at several sizes of a pool. Everything in one process, no server.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from time import process_time
from typing import NamedTuple

from scheduler.amounts import Amounts
from scheduler.demand import Demand
from scheduler.offer import Offer
from scheduler.placement import best_fit, place
from scheduler.shortfall import Shortfall
from scheduler.stock import Stock

DEVICES = 1000
STEPS = 4_000
LOADS = (1.0, 1.3)
SIZES = (100, 1_000, 10_000, 100_000)
PAIRS = 5_000
GIB = 1024


class Mix(NamedTuple):
    """What devices have and what is asked of them: (weight, cores, GiB, GPU) each."""

    devices: list[tuple[int, int, int, int]]
    demands: list[tuple[int, float, float, int]]


_OF_ALL_SIZES = [(4, 4, 16, 0), (3, 8, 32, 0), (1, 16, 128, 0), (2, 16, 64, 1)]

MIXES = {
    # GPUs run out first, and make three fifths of what is counted
    "mixed": Mix(
        _OF_ALL_SIZES,
        [(5, 1, 2, 0), (3, 4, 8, 0), (2, 8, 24, 0), (2, 14, 48, 0), (2, 4, 16, 1)],
    ),
    # the same, but cores run out first: two thirds of the GPUs are asked for
    "cores short": Mix(
        _OF_ALL_SIZES,
        [(5, 1, 2, 0), (3, 4, 8, 0), (2, 8, 24, 0), (2, 14, 48, 0), (1, 4, 16, 1)],
    ),
    "GPU-heavy": Mix(
        [(3, 8, 32, 0), (2, 16, 64, 1)],
        [(3, 2, 4, 0), (1, 8, 24, 0), (4, 6, 24, 1)],
    ),
    "fat": Mix(
        [(4, 4, 16, 0), (3, 8, 32, 0), (2, 16, 64, 0)],
        [(3, 1, 2, 0), (3, 8, 30, 0), (2, 14, 48, 0)],
    ),
}

Chooser = Callable[[Stock, Demand], Offer | None]


def ours(stock: Stock, demand: Demand) -> Offer | None:
    return best_fit(demand, stock)


def first_fit(stock: Stock, demand: Demand) -> Offer | None:
    return next(_fitting(stock, demand), None)


def least_allocated(stock: Stock, demand: Demand) -> Offer | None:
    """Kubernetes' default: the device of which the larger part stays free, CPU and memory alike."""

    def score(offer: Offer) -> float:
        cpu = (offer.cpu - demand.need.cpu) / offer.total.cpu
        memory = (offer.memory - demand.need.memory) / offer.total.memory
        return (cpu + memory) / 2

    return max(_fitting(stock, demand), key=score, default=None)


def nomad(stock: Stock, demand: Demand) -> Offer | None:
    """Nomad's bin packing, after Google's BestFit-v3: 20 less ten to the free parts of CPU and memory."""

    def score(offer: Offer) -> float:
        cpu = (offer.cpu - demand.need.cpu) / offer.total.cpu
        memory = (offer.memory - demand.need.memory) / offer.total.memory
        return 20.0 - float(10.0**cpu) - float(10.0**memory)

    return max(_fitting(stock, demand), key=score, default=None)


CHOOSERS: dict[str, Chooser] = {
    "ours": ours,
    "first fit": first_fit,
    "Nomad BestFit-v3": nomad,
    "Kubernetes LeastAllocated": least_allocated,
}


def _fitting(stock: Stock, demand: Demand) -> Iterator[Offer]:
    return (offer for offer in stock.offers.values() if offer.free.covers(demand.need))


def pool(mix: Mix, count: int, chance: random.Random) -> Stock:
    """A stock of idle devices."""
    weights = [each[0] for each in mix.devices]
    stock = Stock()
    for number in range(count):
        _, cores, gib, gpu = chance.choices(mix.devices, weights)[0]
        room = Amounts(cores * 100, gib * GIB, 100 * GIB, gpu)
        stock.put(Offer(f"device-{number:06}", "", room, room))
    return stock


def take(stock: Stock, offer: Offer, need: Amounts, sign: int) -> None:
    """Reserve a need on an offer, or with -1 give it back."""
    free = offer.free.minus(need) if sign > 0 else offer.free.plus(need)
    stock.fill(offer, *free)


def served(mix: Mix, load: float, choose: Chooser, *, seed: int) -> float:
    """The part of the demand, weighed by what it needs of the scarcest thing, that found a device."""
    chance = random.Random(seed)
    stock = pool(mix, DEVICES, chance)
    total = stock.total
    weights = [each[0] for each in mix.demands]
    alive = int(load / _share_of(mix, total))
    asked = given = 0.0
    slots: deque[tuple[Offer, Amounts] | None] = deque()
    for _ in range(STEPS + alive):
        need = _need(chance.choices(mix.demands, weights)[0])
        if len(slots) >= alive:
            over = slots.popleft()
            if over is not None:
                take(stock, over[0], over[1], -1)
        offer = choose(stock, Demand(need, devices=1))
        asked += _weight(need, total)
        if offer is not None:
            given += _weight(need, total)
            take(stock, offer, need, 1)
        slots.append((offer, need) if offer is not None else None)
    return given / asked


def _share_of(mix: Mix, total: Amounts) -> float:
    """What one demand takes on the average, of what all of them together will run out of first."""
    whole = sum(weight for weight, *_ in mix.demands)
    needs = [(demand[0] / whole, _need(demand)) for demand in mix.demands]
    kinds = [index for index in (0, 1, 3) if total[index]]
    return max(sum(part * need[index] for part, need in needs) / total[index] for index in kinds)


def _need(demand: tuple[int, float, float, int]) -> Amounts:
    _, cores, gib, gpu = demand
    return Amounts(int(cores * 100), int(gib * GIB), 1, gpu)


def _weight(need: Amounts, total: Amounts) -> float:
    return max(amount / whole for amount, whole in zip(need, total, strict=True) if whole)


def pairs_per_s(count: int) -> float:
    """Releases and placements a second of processor time, in a pool that is three quarters full."""
    chance = random.Random(count)
    mix = MIXES["mixed"]
    stock = pool(mix, count, chance)
    weights = [each[0] for each in mix.demands]
    held: deque[tuple[Offer, Amounts]] = deque()
    while stock.free.cpu > stock.total.cpu / 4:
        need = _need(chance.choices(mix.demands, weights)[0])
        offer = best_fit(Demand(need, devices=1), stock)
        if offer is None:
            break
        take(stock, offer, need, 1)
        held.append((offer, need))
    needs = [_need(chance.choices(mix.demands, weights)[0]) for _ in range(PAIRS)]
    began_s = process_time()
    for need in needs:
        offer, old = held.popleft()
        take(stock, offer, old, -1)
        found = best_fit(Demand(need, devices=1), stock)
        if found is not None:
            take(stock, found, need, 1)
            held.append((found, need))
    return PAIRS / (process_time() - began_s)


def main() -> None:
    for name, mix in MIXES.items():
        for load in LOADS:
            parts = {each: served(mix, load, choose, seed=7) for each, choose in CHOOSERS.items()}
            text = ", ".join(f"{each} {part:.1%}" for each, part in parts.items())
            ahead = [100 * (parts["ours"] - parts[each]) for each in list(CHOOSERS)[2:]]
            points = f"{ahead[0]:+.1f} points to Nomad's scoring, {ahead[1]:+.1f} to LeastAllocated"
            print(f"{name}, load {load}: {text}; {points}", flush=True)
    for count in SIZES:
        print(f"{count:>7} devices: {pairs_per_s(count):>8,.0f} pairs a second of processor time")
    chance = random.Random(1)
    small = pool(Mix([(1, 4, 16, 0)], []), 8, chance)
    wide = Demand(Amounts(2000, 40 * GIB, 0))
    plan = place(wide, small)
    shares = 0 if isinstance(plan, Shortfall) else len(plan)
    print(f"20 cores on devices of 4: {shares} shares, where no single device has room")


if __name__ == "__main__":
    main()
