"""What is done to the servers, and what is written down of it."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from msgspec.structs import replace

from bench.fanout.load import Load, Step
from bench.fanout.search import Bounds, highest, sustained
from bench.fanout.servers import Server, Serving, gateways
from tests.support.cluster import call, wait_for

CADENCE_PER_S = 0.5
"""updates of each device, as API.md's example sends them"""
BUSY_PER_S = 5
STOPPED_LIMIT_S = 20
POLL_EVERY_S = 0.02


class Sizes(NamedTuple):
    """How much of everything."""

    seconds: float = 3
    """a step"""
    bounds: Bounds = Bounds(steps=8)
    cadence: int = 2000
    idle: int = 5000
    herd: int = 1000


QUICK = Sizes(seconds=1.5, bounds=Bounds(growth=2, precision=1.3, steps=5), cadence=500, idle=1000, herd=300)


def step(serving: Serving, load: Load, rate: float, seconds: float) -> Step:
    """One step, and what our gateways say that they left out meanwhile."""
    before = _left_out(serving)
    found = load.step(rate, seconds)
    skipped, updates = (after - earlier for after, earlier in zip(_left_out(serving), before, strict=True))
    return replace(found, skipped=skipped, folded=updates * found.readers)


def _left_out(serving: Serving) -> tuple[int, int]:
    """Frames skipped for those who lagged, and updates folded, since the gateways began."""
    bodies = [call(f"http://127.0.0.1:{port}/metrics").body for port in serving.ports if serving.ours]
    skipped, folded = (
        sum(int(metric(body, f"rpn_gateway_{name}_total ".encode())) for body in bodies)
        for name in ("frames_skipped", "updates_folded")
    )
    return skipped, folded


def metric(body: bytes, sign: bytes) -> float:
    """The value after `sign` in what Prometheus reads."""
    return float(body.partition(b"\n" + sign)[2].split(b"\n")[0])


def given(server: Server, connections: int, per_s: float, sizes: Sizes) -> Step:
    """What so many deliveries a second cost, whether all of them come or not."""
    with server() as serving, Load(serving.ports, connections, pids=serving.pids) as load:
        return step(serving, load, per_s / connections**2, sizes.seconds)


def fanout(server: Server, connections: int, first_per_s: float, sizes: Sizes) -> Step | None:
    """The step with the most deliveries a second that the server sustains."""
    with server() as serving, Load(serving.ports, connections, pids=serving.pids) as load:

        def attempt(rate: float) -> Step:
            found = step(serving, load, rate, sizes.seconds)
            return (
                found if sustained(found) else step(serving, load, rate, sizes.seconds)
            )  # others use it too

        return highest(first_per_s / connections**2, attempt, sustained, sizes.bounds)


def light(devices: int, seconds: float) -> Step:
    """Devices that report every two seconds."""
    with gateways(1) as serving, Load(serving.ports, devices, pids=serving.pids) as load:
        return step(serving, load, CADENCE_PER_S, seconds)


class Idle(NamedTuple):
    """What connections cost that only send heartbeats."""

    connections: int
    kib_each: float
    """of all server processes"""
    core_percent: float


def idle(connections: int, seconds: float) -> Idle:
    with gateways(1) as serving, Load(serving.ports, connections, pids=serving.pids, deaf=True) as load:
        quiet = load.step(0, seconds)
        before = sum(process.rss_before_kib for process in load.connected.processes)
        after = sum(process.rss_kib for process in quiet.processes)
        return Idle(connections, (after - before) / connections, 100 * quiet.cpu_s / seconds)


class Herd(NamedTuple):
    """What happened when everybody was cut at once."""

    connections: int
    back: int
    seconds: float
    """until the last had its list"""
    http_ms: float
    """the slowest HTTP answer meanwhile"""


def herd(connections: int) -> Herd:
    with gateways(1) as serving, Load(serving.ports, connections, pids=serving.pids) as load:
        with Asking(serving) as asking:
            storm = load.storm()
        return Herd(connections, storm.back, storm.seconds, 1000 * max(asking.took_s))


class Asking:
    """Asks a gateway over HTTP, again and again, and notes how long each answer takes."""

    def __init__(self, serving: Serving) -> None:
        self._url = f"http://127.0.0.1:{serving.ports[0]}/api/stats"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.took_s: list[float] = []

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.is_set() or not self.took_s:
            began_s = time.monotonic()
            call(self._url)
            self.took_s.append(time.monotonic() - began_s)
            self._over.wait(POLL_EVERY_S)


class OneStopped(NamedTuple):
    """What one client that does not read does to the others."""

    before: Step
    after: Step
    closed_s: float
    """from when it stopped until its gateway gave it up"""
    grown_kib: int
    """of the gateway, while it was there"""


def one_stopped(connections: int, seconds: float) -> OneStopped:
    with gateways(1) as serving, Load(serving.ports, connections, pids=serving.pids[:1]) as load:
        before = step(serving, load, BUSY_PER_S, seconds)
        closed = Closing(serving, connections)
        load.stop(1)
        with closed:
            after = step(serving, load, BUSY_PER_S, max(seconds, 8))
        grown_kib = after.processes[0].rss_kib - before.processes[0].rss_kib
        return OneStopped(before, after, closed.after_s, grown_kib)


class Closing:
    """Waits, beside the load, until a gateway has fewer devices than it had."""

    def __init__(self, serving: Serving, devices: int) -> None:
        self._url = f"http://127.0.0.1:{serving.ports[0]}/metrics"
        self._devices = devices
        self._thread = threading.Thread(target=self._wait)
        self.after_s = float("inf")

    def __enter__(self) -> Closing:
        self._began_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _wait(self) -> None:
        try:
            wait_for(self._fewer, within_s=STOPPED_LIMIT_S, what="it was given up", every_s=0.1)
        except AssertionError:
            return
        self.after_s = time.monotonic() - self._began_s

    def _fewer(self) -> bool:
        sign = b'rpn_gateway_connections{kind="device"} '
        body = call(self._url).body
        return metric(body, sign) < self._devices
