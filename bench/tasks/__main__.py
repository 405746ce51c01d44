"""Measures `echo` through a whole pool: a WebSocket to the submitter, two agents, every write on disk."""

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
import uvloop

from bench.tasks.submitter import Submitter
from tests.support.cluster import Cluster, clean_environment, device_ids, role_of, running, wait_for


class Measured(NamedTuple):
    """One scenario."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    """by role: processor time for one task"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--in-flight", type=int, nargs="+", default=[1, 1000])
    given = options.parse_args()
    with two_agents() as cluster:
        print(f"{'in flight':>9} {'tasks/s':>9} {'p50 ms':>8} {'p99 ms':>8}  processor time a task, µs")
        for in_flight in given.in_flight:
            show(in_flight, uvloop.run(measure(cluster, in_flight, given.seconds)))


@contextmanager
def two_agents() -> Iterator[Cluster]:
    """`rpn up` with its agent, and one more."""
    with TemporaryDirectory() as folder, running(Path(folder) / "data") as cluster:
        settings = {"RPN_SERVER": cluster.urls[0].replace("http", "ws") + "/ws"}
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
    before = cpu_s()
    rate = await submitter.run(in_flight=in_flight, seconds=seconds)
    used = {role: 1e6 * (after_s - before.get(role, 0.0)) for role, after_s in cpu_s().items()}
    took_ms = sorted(1000 * each for each in submitter.latencies_s)
    await submitter.close()
    count = len(took_ms)
    by_role = {role: us / count for role, us in used.items()}
    return Measured(rate, statistics.median(took_ms), took_ms[count * 99 // 100], by_role)


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
        f"{in_flight:>9,} {found.rate:>9,.0f} {found.p50_ms:>8.2f} {found.p99_ms:>8.2f}  {used}", flush=True
    )


if __name__ == "__main__":
    main()
