"""Resource requests over WebSocket: one at a time, and many clients at once, through one gateway."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import psutil
import redis

from bench.fanout.servers import Serving, gateways
from bench.requests.client import Client
from rpn.store.embedded import EmbeddedServer

BIG = {
    "cpuUsage": 0,
    "cpuAvailable": 100,
    "cpuCores": 1_000_000,
    "memoryUsage": 0,
    "memoryAvailable": 10**9,
    "memoryTotal": 10**9,
    "storageUsage": 0,
    "storageAvailable": 10**9,
    "storageTotal": 10**9,
    "hasGPU": False,
}


class Measured(NamedTuple):
    """One scenario."""

    name: str
    rate: float
    """answers a second"""
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]
    """by process, for each answer"""


def cpu_s(pids: list[int]) -> list[float]:
    return [sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids]


async def measure(name: str, serving: Serving, *, clients: int, window: int, seconds: float) -> Measured:
    """`clients` ask for so long, each with `window` requests under way."""
    asking = [Client(f"{name}-{number}", window=window) for number in range(clients)]
    big = Client(f"{name}-big")
    for each in (big, *asking):
        await each.connect(serving.ports[0])
    big.say({"type": "resource_update", "resources": BIG})
    await asyncio.sleep(0.5)
    before, started_s = cpu_s(serving.pids), perf_counter()
    await asyncio.gather(*[each.ask_for(seconds) for each in asking])
    elapsed_s = perf_counter() - started_s
    spent = [after - earlier for earlier, after in zip(before, cpu_s(serving.pids), strict=True)]
    latencies_s = sorted(latency for each in asking for latency in each.latencies_s)
    assert not any(each.refused for each in asking), "what fits was refused"
    for each in (big, *asking):
        each.close()
    await asyncio.sleep(0.5)
    count = len(latencies_s)
    roles = ("gateway", "scheduler", "store")
    return Measured(
        name,
        count / elapsed_s,
        1000 * statistics.median(latencies_s),
        1000 * latencies_s[int(count * 0.99)],
        {role: 1000 * each / count for role, each in zip(roles, spent, strict=True)},
    )


def write_ms() -> float:
    """One write to a store like ours, to the disk: p50."""
    took_s: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServer(Path(folder)) as server,
        redis.Redis.from_url(server.url) as connection,
    ):
        for number in range(500):
            started_s = perf_counter()
            connection.set("x", number)
            took_s.append(perf_counter() - started_s)
    return 1000 * statistics.median(took_s)


@contextmanager
def fast_loop() -> Iterator[asyncio.Runner]:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.requests", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    print(f"one write to the store, to disk: p50 {write_ms():.2f} ms")
    print(f"{'scenario':<22} {'answers/s':>9} {'p50 ms':>7} {'p99 ms':>7}  CPU ms an answer")
    scenarios = [("one at a time", 1, 1), ("64 clients", 64, 1), ("64 clients, 8 each", 64, 8)]
    rows: dict[str, list[Measured]] = {}
    for _ in range(chosen.runs):
        with gateways(1) as serving, fast_loop() as runner:
            for name, clients, window in scenarios:
                scenario = measure(name, serving, clients=clients, window=window, seconds=chosen.seconds)
                row = runner.run(scenario)
                rows.setdefault(name, []).append(row)
                spent = ", ".join(f"{role} {ms:.3f}" for role, ms in row.cpu_ms.items())
                print(f"{name:<22} {row.rate:>9.0f} {row.p50_ms:>7.2f} {row.p99_ms:>7.2f}  {spent}")
    if chosen.runs > 1:
        for name, found in rows.items():
            rate, p50_ms = (
                statistics.median(getattr(each, field) for each in found) for field in ("rate", "p50_ms")
            )
            print(f"median of {chosen.runs}: {name}: {rate:.0f} answers/s, p50 {p50_ms:.2f} ms")


if __name__ == "__main__":
    main()
