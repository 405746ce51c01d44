"""Asks the pool's server how it is and how much waits in it, once a scrape."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import NamedTuple

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


async def look(connection: Connection, keys: Keys) -> Vitals | None:
    """How the server is; None while it is away."""
    started_s = perf_counter()
    try:
        lengths = await connection.commands([("XLEN", getattr(keys, stream)) for stream in STREAMS])
        ping_s = perf_counter() - started_s
        [info] = await connection.commands([("INFO", *SECTIONS)])
    except StoreUnavailable:
        return None
    return Vitals(ping_s, dict(zip(STREAMS, lengths, strict=True)), info if isinstance(info, dict) else {})
