"""Measures tasks that do nothing through a whole pool: two agents, every write on disk; then others."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil
import redis
import uvloop

from bench.tasks.calls import measure_calls
from bench.tasks.peers.race import race
from bench.tasks.submitter import Submitter
from rpn.store.embedded.place import Place
from tests.support.cluster import Cluster, clean_environment, device_ids, role_of, running, wait_for


class Measured(NamedTuple):
    """One scenario."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    """by role: processor time for one task"""
    store_ms: float
    """the store's own share of one task's time: running commands, and waiting for its disk"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--in-flight", type=int, nargs="+", default=[1, 1000])
    options.add_argument("--calls", type=int, default=2000, help="Python calls through rpn.Executor; 0: none")
    options.add_argument(
        "--peers", type=int, default=1000, help="tasks for each of the others; 0: leave them out"
    )
    given = options.parse_args()
    with two_agents() as cluster:
        for in_flight in given.in_flight:
            show(in_flight, uvloop.run(measure(cluster, in_flight, given.seconds)))
        if given.calls:
            measure_calls(cluster, given.calls)
    for peer in race(given.peers) if given.peers else ():
        print(peer.told, flush=True)


@contextmanager
def two_agents() -> Iterator[Cluster]:
    """`rpn up` with its agent, and one more."""
    with TemporaryDirectory() as folder, running(Path(folder) / "data", RPN_ALLOW_PYTHON="yes") as cluster:
        url = cluster.urls[0].replace("http", "ws") + "/ws"
        settings = {"RPN_SERVER": url, "RPN_ALLOW_PYTHON": "yes"}
        command = [sys.executable, "-P", "-m", "agent"]
        environment = clean_environment({**settings, "RPN_DATA_DIR": f"{folder}/agent"})
        second = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: len(device_ids(cluster.urls[0])) == 2, within_s=20, what="two agents")
            yield cluster
        finally:
            second.terminate()
            second.wait()


async def measure(cluster: Cluster, in_flight: int, seconds: float) -> Measured:
    submitter = Submitter(cluster.urls[0].replace("http", "ws") + "/ws")
    await submitter.connect()
    await submitter.run(in_flight=in_flight, seconds=1)
    before, store_before_s = cpu_s(), store_s(cluster)
    rate = await submitter.run(in_flight=in_flight, seconds=seconds)
    used = {role: 1e6 * (after_s - before.get(role, 0.0)) for role, after_s in cpu_s().items()}
    took_ms = sorted(1000 * each for each in submitter.latencies_s)
    await submitter.close()
    count = len(took_ms)
    by_role = {role: us / count for role, us in used.items()}
    store_ms = 1000 * (store_s(cluster) - store_before_s) / count
    return Measured(rate, statistics.median(took_ms), took_ms[count * 99 // 100], by_role, store_ms)


def store_s(cluster: Cluster) -> float:
    """Seconds that the store has spent on commands and on its disk; 0 if it does not tell."""
    with redis.Redis(unix_socket_path=str(Place(cluster.data_dir).socket)) as store:
        told = store.info("stats")
    spent = told.get("eventloop_duration_cmd_sum", 0) + told.get("eventloop_duration_aof_sum", 0)
    return float(spent) / 1e6


def cpu_s() -> dict[str, float]:
    """Processor time of everything we started, by role; ours is the submitter's."""
    sums: dict[str, float] = {}
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            times, role = process.cpu_times(), role_of(process)
        except psutil.Error:
            continue
        name = "submitter" if process == me else role or "other"
        sums[name] = sums.get(name, 0.0) + times.user + times.system
    return sums


def show(in_flight: int, found: Measured) -> None:
    used = ", ".join(f"{role} {us:.0f}" for role, us in sorted(found.cpu_us.items()) if us >= 1)
    print(
        f"echo, {in_flight:,} in flight: {found.rate:,.0f} a second, p50 {found.p50_ms:.2f} ms, "
        f"p99 {found.p99_ms:.2f} ms, {found.store_ms:.2f} ms each in the store\n"
        f"    processor time of one, µs: {used}; together {sum(found.cpu_us.values()):.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
