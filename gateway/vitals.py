"""Every five seconds: what this gateway tells of itself, and one more step of the pool's history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec

from gateway.history import STEP_S, History
from gateway.metrics import Counters, Gauges
from rpn import __version__
from rpn.errors import StoreUnavailable
from rpn.model import Resources
from rpn.replica import Replica
from rpn.store.vitals import Vitals, VitalsStore


class Reading(NamedTuple):
    """The counters at one moment."""

    at_s: float
    received: float
    sent: float
    sent_bytes: float
    rounds: float
    fanout_s: float
    events: float
    bus_s: float
    batches: float
    batch_s: float


class Pulse:
    """Takes this gateway's vitals for ever; keeps the pool's history."""

    def __init__(
        self,
        replica: Replica,
        counters: Counters,
        gauges: Callable[[], Gauges],
        store: VitalsStore,
        gateway: Callable[[], str],
        now_ms: Callable[[], int],
    ) -> None:
        self.history = History()
        self._replica = replica
        self._counters = counters
        self._gauges = gauges
        self._store = store
        self._gateway = gateway
        self._now_ms = now_ms
        self._started_s = time.monotonic()

    async def run(self) -> None:
        """Take them at every full step of the clock."""
        before = self._read()
        while True:
            step = int(time.time() // STEP_S) + 1
            await asyncio.sleep(step * STEP_S - time.time())
            now = self._read()
            self.history.record(step, self._rows())
            with suppress(StoreUnavailable):  # it is told again soon
                await self._store.tell(self._gateway(), self._vitals(before, now))
            before = now

    def _rows(self) -> dict[str, Resources]:
        return {each.id: each.resources for each in self._replica.devices.values() if not each.lost}

    def _read(self) -> Reading:
        counters, gauges = self._counters, self._gauges()
        return Reading(
            at_s=time.monotonic(),
            received=counters.received.total(),
            sent=counters.frames,
            sent_bytes=counters.bytes,
            rounds=counters.rounds,
            fanout_s=counters.fanout_s,
            events=gauges.events,
            bus_s=gauges.bus_s,
            batches=counters.batches,
            batch_s=counters.batch_s,
        )

    def _vitals(self, before: Reading, now: Reading) -> Vitals:
        gauges = self._gauges()
        return msgspec.structs.replace(
            rates(before, now),
            at_ms=self._now_ms(),
            version=__version__,
            uptime_s=int(now.at_s - self._started_s),
            devices=gauges.devices_connected,
            observers=gauges.observers_connected,
            lagging=gauges.lagging,
        )


def rates(before: Reading, now: Reading) -> Vitals:
    """What happened between two readings: a second, or on average."""
    span_s = max(now.at_s - before.at_s, 1e-3)
    change = Reading(*[new - old for new, old in zip(now, before, strict=True)])
    return Vitals(
        at_ms=0,
        received_per_s=round(change.received / span_s, 1),
        sent_per_s=round(change.sent / span_s, 1),
        sent_kib_per_s=round(change.sent_bytes / span_s / 1024, 1),
        fanout_ms=_mean_ms(change.fanout_s, change.rounds),
        bus_ms=_mean_ms(change.bus_s, change.events),
        batch_ms=_mean_ms(change.batch_s, change.batches),
    )


def _mean_ms(total_s: float, number: float) -> float | None:
    return round(1000 * total_s / number, 2) if number else None
