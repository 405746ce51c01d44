"""How long a client waits before it connects again, so that many of them do not come back at once."""

from __future__ import annotations

from msgspec import Struct

FIRST_S = 0.5
LONGEST_S = 5.0
SUPERSEDED_S = 60.0
"""Two clients with one device id would otherwise drive each other out for ever."""
DRAIN_SPREAD_S = 0.5
STABLE_S = 10.0
"""A connection that lasted this long was a good one: the next wait is short again."""


class Ending(Struct, frozen=True):
    """How a connection ended, or that none came about."""

    lasted_s: float = 0.0
    superseded: bool = False
    return_after_ms: int | None = None
    """what a draining gateway asked for"""


def failures_after(ending: Ending, failures: int) -> int:
    """How many connections in a row were no good, `ending` included."""
    return 0 if ending.lasted_s >= STABLE_S or ending.return_after_ms is not None else failures + 1


def wait_s(ending: Ending, failures: int, *, chance: float) -> float:
    """Full jitter, with `chance` between 0 and 1: anything up to a bound that doubles with each failure."""
    if ending.superseded:
        return SUPERSEDED_S * (1 + chance)
    if ending.return_after_ms is not None:
        return ending.return_after_ms / 1000 + DRAIN_SPREAD_S * chance
    return min(LONGEST_S, FIRST_S * 2.0 ** min(failures, 16)) * chance
