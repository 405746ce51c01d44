"""How well and how fast placement serves demand, beside the scoring of other schedulers.

`python -m bench.placement`: served demand of the same arrivals on the same 1,000 devices, and pairs of
release and placement a second at several sizes of a pool. Everything in one process, no server.
"""

from __future__ import annotations

import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from time import process_time
from typing import NamedTuple

from scheduler.amounts import Amounts
from scheduler.demand import Demand
from scheduler.offer import Offer
from scheduler.placement import best_fit, find, place
from scheduler.shortfall import Shortfall
from scheduler.stock import Stock

DEVICES = 1000
STEPS = 4_000
"""demands that are counted, at least"""
SAMPLES = 10_000
SEEDS = (1, 2, 3)
LOADS = (1.0, 1.3)
SIZES = (100, 1_000, 10_000, 100_000)
PAIRS = 5_000
GIB = 1024


class Mix(NamedTuple):
    """What devices have, and what is asked of them."""

    devices: list[tuple[int, int, int, int]]
    """(weight, cores, GiB, GPUs) of each kind"""
    demand: Callable[[random.Random], Amounts]
    """the next one"""


def of_all_sizes(gpu_part: float) -> Callable[[random.Random], Amounts]:
    """Half a core to 16, a small one as likely as one twice as large, 1 to 4 GiB a core; some with a GPU."""

    def demand(chance: random.Random) -> Amounts:
        if chance.random() < gpu_part:
            cores = chance.uniform(2, 8)
            return _amounts(cores, cores * chance.uniform(2, 5), 1)
        cores = 2 ** chance.uniform(-1, 4)
        return _amounts(cores, cores * chance.uniform(1, 4), 0)

    return demand


def of_kinds(*kinds: tuple[int, float, float, int]) -> Callable[[random.Random], Amounts]:
    """One of a few: (weight, cores, GiB, GPUs) of each."""
    weights = [each[0] for each in kinds]
    needs = [_amounts(*each[1:]) for each in kinds]
    return lambda chance: chance.choices(needs, weights)[0]


def _amounts(cores: float, gib: float, gpus: int) -> Amounts:
    return Amounts(int(cores * 100), int(gib * GIB), 0, gpus)


_FOUR_KINDS = [(4, 4, 16, 0), (3, 8, 32, 0), (1, 16, 128, 0), (2, 16, 64, 1)]

MIXES = {
    # laptops, desktops, workstations with a GPU, phones, edge boxes, servers; cores, memory and GPUs
    # run out about together
    "mixed": Mix(
        [(30, 8, 16, 0), (20, 12, 32, 0), (15, 24, 64, 1), (10, 8, 8, 0), (20, 4, 4, 0), (5, 32, 128, 0)],
        of_all_sizes(gpu_part=0.05),
    ),
    # GPUs run out first, and make three fifths of what is counted; large work needs their devices, too
    "GPUs short": Mix(
        _FOUR_KINDS,
        of_kinds((5, 1, 2, 0), (3, 4, 8, 0), (2, 8, 24, 0), (2, 14, 48, 0), (2, 4, 16, 1)),
    ),
    # the same, but cores run out first: two thirds of the GPUs are asked for
    "cores short": Mix(
        _FOUR_KINDS,
        of_kinds((5, 1, 2, 0), (3, 4, 8, 0), (2, 8, 24, 0), (2, 14, 48, 0), (1, 4, 16, 1)),
    ),
    "GPU-heavy": Mix(
        [(3, 8, 32, 0), (2, 16, 64, 1)],
        of_kinds((3, 2, 4, 0), (1, 8, 24, 0), (4, 6, 24, 1)),
    ),
    "fat": Mix(
        [(4, 4, 16, 0), (3, 8, 32, 0), (2, 16, 64, 0)],
        of_kinds((3, 1, 2, 0), (3, 8, 30, 0), (2, 14, 48, 0)),
    ),
}

Part = tuple[Offer, Amounts]
"""a device, and what it gives"""
Chooser = Callable[[Stock, Amounts], list[Part]]
"""the parts that together are what is needed; none if there is no room"""


def ours(stock: Stock, need: Amounts) -> list[Part]:
    """One device, as a task has it."""
    return _whole(best_fit(Demand(need, devices=1), stock), need)


def ours_split(stock: Stock, need: Amounts) -> list[Part]:
    """One device if any has room, else as few as possible: as a request that does not say has it."""
    return [
        (
            stock.offers[share.device_id],
            Amounts(
                share.allocated_cpu,
                share.allocated_memory,
                share.allocated_storage,
                int(share.allocated_gpu),
            ),
        )
        for share in find(Demand(need), stock) or ()
    ]


def first_fit(stock: Stock, need: Amounts) -> list[Part]:
    return _whole(next(_fitting(stock, need), None), need)


def least_allocated(stock: Stock, need: Amounts) -> list[Part]:
    """Kubernetes' default: the device of which the larger part stays free, CPU and memory alike."""

    def score(offer: Offer) -> float:
        cpu = (offer.cpu - need.cpu) / offer.total.cpu
        memory = (offer.memory - need.memory) / offer.total.memory
        return (cpu + memory) / 2

    return _whole(max(_fitting(stock, need), key=score, default=None), need)


def nomad(stock: Stock, need: Amounts) -> list[Part]:
    """Nomad's bin packing, after Google's BestFit-v3: 20 less ten to the free parts of CPU and memory."""

    def score(offer: Offer) -> float:
        cpu = (offer.cpu - need.cpu) / offer.total.cpu
        memory = (offer.memory - need.memory) / offer.total.memory
        return 20.0 - float(10.0**cpu) - float(10.0**memory)

    return _whole(max(_fitting(stock, need), key=score, default=None), need)


CHOOSERS: dict[str, Chooser] = {
    "ours": ours,
    "ours with split": ours_split,
    "first fit": first_fit,
    "Nomad BestFit-v3": nomad,
    "Kubernetes LeastAllocated": least_allocated,
}


def _fitting(stock: Stock, need: Amounts) -> Iterator[Offer]:
    return (offer for offer in stock.offers.values() if offer.free.covers(need))


def _whole(offer: Offer | None, need: Amounts) -> list[Part]:
    return [] if offer is None else [(offer, need)]


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
    """The part of the demand, weighed by what it needs of the scarcest thing, that found a device.

    What came first ends first, whether it was served or not. Counted once as many have come as the
    load means to be there at a time.
    """
    chance = random.Random(seed)
    stock = pool(mix, DEVICES, chance)
    total = stock.total
    alive = int(load / _share_of(mix, total))
    asked = given = 0.0
    slots: deque[list[Part]] = deque()
    for number in range(alive + max(STEPS, 2 * alive)):
        need = mix.demand(chance)
        if len(slots) >= alive:
            for offer, part in slots.popleft():
                take(stock, offer, part, -1)
        parts = choose(stock, need)
        if number >= alive:
            asked += _weight(need, total)
            given += _weight(need, total) if parts else 0.0
        for offer, part in parts:
            take(stock, offer, part, 1)
        slots.append(parts)
    return given / asked


def _share_of(mix: Mix, total: Amounts) -> float:
    """What one demand takes on the average, of what all of them together will run out of first."""
    chance = random.Random(0)
    sums = [0, 0, 0, 0]
    for _ in range(SAMPLES):
        sums = [each + more for each, more in zip(sums, mix.demand(chance), strict=True)]
    return max(sums[kind] / SAMPLES / total[kind] for kind in (0, 1, 3) if total[kind])


def _weight(need: Amounts, total: Amounts) -> float:
    return max(amount / whole for amount, whole in zip(need, total, strict=True) if whole)


def pairs_per_s(count: int) -> float:
    """Releases and placements a second of processor time, in a pool that is three quarters full."""
    chance = random.Random(count)
    mix = MIXES["mixed"]
    stock = pool(mix, count, chance)
    held: deque[Part] = deque()
    while stock.free.cpu > stock.total.cpu / 4:
        need = mix.demand(chance)
        offer = best_fit(Demand(need, devices=1), stock)
        if offer is None:
            break
        take(stock, offer, need, 1)
        held.append((offer, need))
    needs = [mix.demand(chance) for _ in range(PAIRS)]
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
            parts = {
                each: statistics.median(served(mix, load, choose, seed=seed) for seed in SEEDS)
                for each, choose in CHOOSERS.items()
            }
            text = ", ".join(f"{each} {part:.1%}" for each, part in parts.items())
            print(f"{name}, load {load}: {text}", flush=True)
            for each in ("ours", "ours with split"):
                ahead = [100 * (parts[each] - parts[other]) for other in list(CHOOSERS)[3:]]
                points = f"{ahead[0]:+.1f} points to Nomad's scoring, {ahead[1]:+.1f} to LeastAllocated"
                print(f"    {each}: {points}", flush=True)
    for count in SIZES:
        print(f"{count:>7} devices: {pairs_per_s(count):>8,.0f} pairs a second of processor time")
    chance = random.Random(1)
    small = pool(Mix([(1, 4, 16, 0)], of_kinds()), 8, chance)
    wide = Demand(Amounts(2000, 40 * GIB, 0))
    plan = place(wide, small)
    shares = 0 if isinstance(plan, Shortfall) else len(plan)
    print(f"20 cores on devices of 4: {shares} shares, where no single device has room")


if __name__ == "__main__":
    main()
