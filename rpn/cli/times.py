"""Times as people type them: `45m`, `tomorrow`, `18:00`, `2026-12-24 18:00`."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

import click

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_until(*, for_: str | None, until: str | None, now_s: float) -> float:
    """How long it is `for_` a time or `until` one, by this machine's clock. Raises click.UsageError."""
    if for_ and until:
        raise click.UsageError("say --for or --until, not both")
    if for_:
        return duration_s(for_)
    now = datetime.fromtimestamp(now_s).astimezone()
    wait_s = moment(until or "", now).timestamp() - now_s
    if wait_s <= 0:
        raise click.UsageError(f"{until} is over already")
    return wait_s


def duration_s(text: str) -> float:
    """`90s`, `45m`, `1h`, `1h30m`, `2d`"""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise click.UsageError(f"{text!r} is no time: write it like 45m, 1h30m or 2d")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def moment(text: str, now: datetime) -> datetime:
    """The next `18:00`, the beginning of `tomorrow`, or a date with or without a time of day."""
    if text == "tomorrow":
        return _midnight(now) + timedelta(days=1)
    if re.fullmatch(r"\d\d:\d\d", text):
        today = datetime.combine(now.date(), _clock(text), now.tzinfo)
        return today if today > now else today + timedelta(days=1)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no moment: write 18:00, tomorrow or 2026-12-24") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=now.tzinfo)


def _clock(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise click.UsageError(f"{text} is no time of day") from None


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
