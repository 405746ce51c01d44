"""Asks the pool's server how it is and how much waits in it, once a scrape."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.keys import Keys

STREAMS = ("requests", "tasks")
SECTIONS = ("memory", "cpu", "persistence")


class Vitals(NamedTuple):
    """Of a server that answers."""

    ping_s: float
    """one round trip that writes nothing"""
    streams: dict[str, int]
    """stream -> entries not answered yet"""
    info: Mapping[str, object]
    """the sections of its INFO; empty where we may not ask for it"""
    lags_s: Mapping[str, float] = dict.fromkeys(STREAMS, 0.0)
    """stream -> age of its oldest entry; 0 when it is empty"""


async def look(connection: Connection, keys: Keys) -> Vitals | None:
    """How the server is; None while it is away."""
    started_s = perf_counter()
    try:
        lengths = await connection.commands([("XLEN", getattr(keys, stream)) for stream in STREAMS])
        ping_s = perf_counter() - started_s
        firsts = [("XRANGE", getattr(keys, stream), "-", "+", "COUNT", 1) for stream in STREAMS]
        time, *oldest = await connection.commands([("TIME",), *firsts])
        [info] = await connection.commands([("INFO", *SECTIONS)])
    except StoreUnavailable:
        return None
    now_s = int(time[0]) + int(time[1]) / 1e6
    lags_s = {stream: _age_s(entries, now_s) for stream, entries in zip(STREAMS, oldest, strict=True)}
    streams = dict(zip(STREAMS, lengths, strict=True))
    return Vitals(ping_s, streams, info if isinstance(info, dict) else {}, lags_s)


def _age_s(entries: list[Any], now_s: float) -> float:
    """An entry's id begins with its time."""
    return max(0.0, now_s - int(entries[0][0].partition(b"-")[0]) / 1000) if entries else 0.0
