"""What an idle `rpn up` costs: CPU and memory of each of its processes, over twenty seconds."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from tests.support.cluster import Cluster, role_of, running

MIB = 1 << 20


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(cluster: Cluster, for_s: float) -> list[tuple[str, float, float, float]]:
    """Name, percent of a core, RSS and PSS in MiB of every process."""
    processes = cluster.processes()
    before = [cpu_s(process) for process in processes]
    started = time.monotonic()
    time.sleep(for_s)
    elapsed_s = time.monotonic() - started
    rows = []
    for process, earlier in zip(processes, before, strict=True):
        memory = process.memory_full_info()
        percent = 100 * (cpu_s(process) - earlier) / elapsed_s
        rows.append((_name(process), percent, memory.rss / MIB, memory.pss / MIB))
    return rows


def _name(process: psutil.Process) -> str:
    role = role_of(process)
    return role or " ".join(word for word in process.cmdline()[1:6] if word != "-P")[:40]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--settle", type=float, default=5, help="seconds between ready and the measurement")
    parser.add_argument("--gateways", type=int, default=1)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "data", gateways=chosen.gateways) as cluster,
    ):
        time.sleep(chosen.settle)
        rows = measure(cluster, chosen.seconds)
    print(f"{'process':<40} {'cpu %':>7} {'rss MiB':>8} {'pss MiB':>8}")
    for row in rows:
        print("{:<40} {:>7.2f} {:>8.1f} {:>8.1f}".format(*row))
    _, percents, rss, pss = zip(*rows, strict=True)
    print(f"{'all':<40} {sum(percents):>7.2f} {sum(rss):>8.1f} {sum(pss):>8.1f}")


if __name__ == "__main__":
    main()
