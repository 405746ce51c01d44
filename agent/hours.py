"""Hours of a week, as an owner writes them: `mon-fri 18:00-08:00`, `sat,sun`, `22:00-06:00`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
_SPAN = re.compile(r"(?P<days>[a-z,-]+)?\s*(?:(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d))?")


class Span(NamedTuple):
    """On days that begin it: from minute `begin` up to `end`, which may be of the next day."""

    days: frozenset[int]
    begin: int
    end: int


class Hours:
    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def include(self, when: datetime) -> bool:
        """Whether this moment, by its own clock, is within; no spans include every moment."""
        minute, day = when.hour * 60 + when.minute, when.weekday()
        return not self._spans or any(
            (day in span.days and span.begin <= minute < span.end)
            or ((day - 1) % 7 in span.days and minute + DAY_MINUTES < span.end)
            for span in self._spans
        )


def parse_hours(texts: Iterable[str]) -> list[Span]:
    """The spans; raises ValueError, naming what is none."""
    return [_span(text) for text in texts]


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text.strip().lower())
    if not text.strip() or found is None:
        raise ValueError(f"{text!r} are no hours: write them like 'mon-fri 18:00-08:00'")
    days = frozenset(_days(found["days"], text)) if found["days"] else frozenset(range(7))
    if found["begin"] is None:
        return Span(days, 0, DAY_MINUTES)
    begin, end = _minute(found["begin"], text), _minute(found["end"], text)
    return Span(days, begin, end if end > begin else end + DAY_MINUTES)


def _days(written: str, text: str) -> Iterable[int]:
    for part in written.split(","):
        first, to, last = part.partition("-")
        last = last if to else first
        if first not in DAYS or last not in DAYS:
            raise ValueError(f"{text!r}: days are {', '.join(DAYS)}")
        day, end = DAYS.index(first), DAYS.index(last)
        yield day
        while day != end:
            day = (day + 1) % 7
            yield day


def _minute(clock: str, text: str) -> int:
    hour, minute = map(int, clock.split(":"))
    if hour * 60 + minute > DAY_MINUTES or minute > 59:
        raise ValueError(f"{text!r}: {clock} is no time of day")
    return hour * 60 + minute
