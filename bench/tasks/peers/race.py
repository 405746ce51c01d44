"""How every peer is measured: one task at a time, then a thousand at once, by the clock and by processors."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import psutil

from rpn.store.embedded import EmbeddedServer
from tests.support.ports import free_ports

ONES, AT_ONCE = 200, 1000
NAMES = ("dramatiq", "celery", "dask", "bullmq")


class Peer(NamedTuple):
    """How one of them is used from Python."""

    workers: Callable[[], AbstractContextManager[None]]
    submit: Callable[[str], Any]
    result: Callable[[Any], Any]


class Run(NamedTuple):
    """What was found, or why nothing was."""

    name: str
    rate: float = 0.0
    p50_ms: float = 0.0
    cpu_us: float = 0.0
    """of all processes together, for one of a thousand tasks at once (BullMQ's: with node's start)"""
    missing: str = ""

    @property
    def told(self) -> str:
        """One line for people."""
        if self.missing:
            return f"{self.name}: left out, {self.missing}"
        return (
            f"{self.name}: {self.rate:,.0f} a second, p50 {self.p50_ms:.2f} ms one at a time; "
            f"processor time of one, all processes: {self.cpu_us:,.0f} µs"
        )


def race(tasks: int) -> Iterator[Run]:
    """All peers that are here, one after the other, each with a store of its own."""
    for name in NAMES:
        with (
            tempfile.TemporaryDirectory() as folder,
            EmbeddedServer(Path(folder), port=free_ports(1)[0]) as server,
        ):
            words = [sys.executable, "-m", "bench.tasks.peers.race", name, str(tasks)]
            environment = {**os.environ, "BENCH_REDIS_URL": server.url}
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
        lines = done.stdout.strip().splitlines() or [json.dumps({"name": name, "missing": "it failed"})]
        yield Run(**json.loads(lines[-1]))


@contextmanager
def child(command: list[str]) -> Iterator[None]:
    """A worker process and all that it starts."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def cpu_s() -> float:
    """Of this process, of all that it started, and of the store."""
    me = psutil.Process()
    everybody = [me, *me.children(recursive=True), *(each for each in me.parent().children() if each != me)]
    times = [each.cpu_times() for each in everybody if each.is_running()]
    return float(sum(each.user + each.system for each in times))


def measured(peer: Peer, tasks: int) -> tuple[float, float, float]:
    """(tasks a second, median of one at a time in ms, processor time of one in µs)."""
    with peer.workers():
        assert peer.result(peer.submit("x")) == "x"
        one_ms = [_one_ms(peer) for _ in range(ONES)]
        before_s, began_s = cpu_s(), perf_counter()
        for start in range(0, tasks, AT_ONCE):
            for sent in [peer.submit("x") for _ in range(min(AT_ONCE, tasks - start))]:
                peer.result(sent)
        rate = tasks / (perf_counter() - began_s)
        return rate, statistics.median(one_ms), 1e6 * (cpu_s() - before_s) / tasks


def _one_ms(peer: Peer) -> float:
    began_s = perf_counter()
    peer.result(peer.submit("x"))
    return 1000 * (perf_counter() - began_s)


def bullmq(tasks: int) -> Run:
    """Where BENCH_NODE_MODULES names a folder in which `npm install bullmq ioredis` was run."""
    folder = os.environ.get("BENCH_NODE_MODULES", "")
    if not (Path(folder) / "node_modules/bullmq").is_dir() or not folder:
        return Run("bullmq", missing="BENCH_NODE_MODULES names no folder with node_modules/bullmq")
    script = Path(__file__).with_name("bullmq.mjs")
    before_s = cpu_s()
    done = subprocess.run(["node", str(script), str(tasks)], capture_output=True, text=True, timeout=300)
    times = psutil.Process().cpu_times()
    cpu_us = 1e6 * (cpu_s() - before_s + times.children_user + times.children_system) / (tasks + ONES)
    return Run("bullmq", **json.loads(done.stdout), cpu_us=cpu_us)


def main() -> None:
    name, tasks = sys.argv[1], int(sys.argv[2])
    if name == "bullmq":
        run = bullmq(tasks)
    else:
        try:
            peer = importlib.import_module(f"bench.tasks.peers.by_{name}").PEER
        except ImportError as error:
            run = Run(name, missing=f"{error}: install the dependency group `bench`")
        else:
            run = Run(name, *measured(peer, tasks))
    print(json.dumps(run._asdict()))


if __name__ == "__main__":
    main()
