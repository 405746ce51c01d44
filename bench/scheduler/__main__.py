"""Measures the whole loop at several sizes of pool, beside the bare loop in the same run."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Awaitable, Callable
from statistics import median

import uvloop

from bench.scheduler.bare import bare_loop
from bench.scheduler.filled import Filled, filled
from bench.scheduler.loop import whole_loop
from bench.scheduler.taken import Taken
from scheduler.__main__ import GC_THRESHOLD


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--devices", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    options.add_argument("--requests", type=int, default=40_000)
    options.add_argument("--runs", type=int, default=3)
    given = options.parse_args()
    gc.set_threshold(*GC_THRESHOLD)  # as a scheduler has it
    print(f"{'devices':>8} {'loop':<6} {'requests/s':>11} {'own µs':>8} {'store µs':>9}")
    for devices in given.devices:
        pairs = [pair(devices, given.requests) for _ in range(given.runs)]
        for name, runs in zip(("bare", "whole"), zip(*pairs, strict=True), strict=True):
            show(devices, name, sorted(runs, key=lambda taken: taken.rate)[len(runs) // 2])
        clock = median(whole.rate / bare.rate for bare, whole in pairs)
        processors = median(bare.both_us / whole.both_us for bare, whole in pairs)
        print(f"{'':>8} ratio  {clock:>11.2f} by the clock, {processors:.2f} by the processors", flush=True)


def pair(devices: int, requests: int) -> tuple[Taken, Taken]:
    """The bare loop and the whole one right after it, each on a pool of its own: the machine is the same."""
    return measured(bare_loop, devices, requests), measured(whole_loop, devices, requests)


def measured(loop: Callable[[Filled], Awaitable[Taken]], devices: int, requests: int) -> Taken:
    async def once() -> Taken:
        async with filled(devices=devices, requests=requests) as pool:
            return await loop(pool)

    return uvloop.run(once())


def show(devices: int, name: str, taken: Taken) -> None:
    print(
        f"{devices:>8,} {name:<6} {taken.rate:>11,.0f} {taken.own_us:>8.1f} {taken.store_us:>9.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
