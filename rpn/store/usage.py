"""What devices gave and submitters used, by month: sums that grow with the commits that free something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from rpn.model import Usage
from rpn.store.connection import Connection
from rpn.store.keys import Keys

MONTHS = 13
"""that are kept: this one and a year"""
DAY_MS = 86_400_000
KEPT_MS = 400 * DAY_MS
DIMENSIONS = ("cpu", "memory", "gpu")
_MS = 3_600_000


class Charge(NamedTuple):
    """What one device gave to one submitter until now."""

    until_ms: int
    device_id: str
    submitter_id: str
    cpu: int
    """core-percent times ms"""
    memory: int
    """MB times ms"""
    gpu: int
    """GPUs times ms"""


def counted(charges: Iterable[Charge], kept: set[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """The commands (as in a Decision) that count these charges, one for each sum that grows.

    `kept` are the sums that expire already, by name and month; those that are named here are added.
    """
    sums: dict[tuple[str, str, str], list[int]] = {}
    for until_ms, device_id, submitter_id, cpu, memory, gpu in charges:
        month = month_of(until_ms)
        for of in (("given", month, device_id), ("used", month, submitter_id)):
            found = sums.get(of)
            if found is None:
                sums[of] = [cpu, memory, gpu]
            else:
                found[0] += cpu
                found[1] += memory
                found[2] += gpu
    commands: list[tuple[Any, ...]] = [
        ("HINCRBY", (name, month), f"{dimension}:{whose}", amount)
        for (name, month, whose), amounts in sums.items()
        for dimension, amount in zip(DIMENSIONS, amounts, strict=True)
        if amount
    ]
    fresh = {(name, month) for name, month, _ in sums} - kept
    kept |= fresh
    return commands + [("PEXPIRE", key, KEPT_MS) for key in sorted(fresh)]


def month_of(time_ms: int) -> str:
    """Like 2026-11, in UTC."""
    return _month_of_day(time_ms // DAY_MS)


@lru_cache(maxsize=8)
def _month_of_day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).strftime("%Y-%m")


def months_until(time_ms: int) -> list[str]:
    """All months that are kept, the newest first."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    last = moment.year * 12 + moment.month - 1
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in range(last, last - MONTHS, -1)]


class Accounts:
    """The sums of one pool."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def read(self, months: list[str]) -> tuple[dict[str, Usage], dict[str, Usage]]:
        """(given by device, used by submitter) in these months together. Raises StoreUnavailable."""
        given = await self._connection.commands([("HGETALL", self._keys.given(month)) for month in months])
        used = await self._connection.commands([("HGETALL", self._keys.used(month)) for month in months])
        return _usage(given), _usage(used)


def _usage(replies: list[dict[bytes, bytes]]) -> dict[str, Usage]:
    sums: dict[str, Counter[str]] = {}
    for reply in replies:
        for field, amount in reply.items():
            dimension, _, name = field.decode().partition(":")
            sums.setdefault(name, Counter())[dimension] += int(amount)
    return {name: _hours(each) for name, each in sums.items()}


def _hours(sums: Counter[str]) -> Usage:
    return Usage(
        core_hours=sums["cpu"] / 100 / _MS,
        memory_hours=sums["memory"] / 1024 / _MS,
        gpu_hours=sums["gpu"] / _MS,
    )
