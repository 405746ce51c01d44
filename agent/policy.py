"""What the owner of a device allows, and what of it holds at a moment: rules without I/O or clock.

A device is *open* or *withheld*. It is withheld while its owner has paused it, out of hours, on
battery, or while somebody works at it, as far as the owner said so. While it is open it offers the
owner's share of the machine.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.hours import Hours, parse_hours
from rpn.model import Name, Seconds

SETTLE_S = 10.0
"""How long what withheld it must be over before a device is open again, so that it does not flap."""

Percent = Annotated[float, Meta(ge=0, le=100)]
Names = Annotated[list[Name], Meta(max_length=1000)]


class Policy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the owner said; without a word of theirs everything is offered, but not on battery."""

    hours: list[str] = []
    """when it may be used, as in `mon-fri 18:00-08:00`; none: always"""
    cpu: Percent = 100
    """the share of the machine's CPU that the pool may have"""
    memory: Percent = 100
    storage: Percent = 100
    gpu: bool = True
    on_battery: bool = False
    battery_stop: Percent = 30
    """on battery, it is withheld below this charge ..."""
    battery_start: Percent = 50
    """... until the charge is at least this"""
    idle_after: Seconds | None = None
    """only when nobody has used it for so many seconds"""
    submitters: Names | None = None
    """ids of the devices whose tasks it runs; without it all"""
    commands: Names | None = None
    """which of its commands and built-ins it runs; without it all"""
    when_withheld: Literal["suspend", "return", "finish"] = "suspend"
    """what becomes of tasks that run when it is withheld"""

    def __post_init__(self) -> None:
        parse_hours(self.hours)
        if self.battery_start < self.battery_stop:
            raise ValueError("battery_start is below battery_stop")


class Battery(Struct, frozen=True):
    charge: float | None
    """percent; None: unknown"""
    on_mains: bool | None


class Circumstances(Struct, frozen=True):
    """What a verdict rests on; None is unknown."""

    now: datetime
    """with a time zone: the device's own"""
    paused: bool = False
    paused_until_s: float | None = None
    """since the epoch; None: until the owner says otherwise"""
    battery: Battery | None = None
    """None: it has none"""
    idle_s: float | None = None


class Verdict(Struct, frozen=True):
    """Whether the device is open and, if not, all the reasons."""

    reasons: tuple[str, ...] = ()
    low: bool = False
    """the battery was below the level at which we stop, and is not yet above that at which we start"""
    passing: bool = False
    """some reason is one that comes and goes by itself, like a loose plug"""

    @property
    def open(self) -> bool:
        return not self.reasons


def judge(policy: Policy, found: Circumstances, before: Verdict) -> Verdict:
    """What holds now; `before` is the verdict before this one."""
    low = is_low(policy, found.battery, was_low=before.low)
    hours = Hours(parse_hours(policy.hours))
    lasting = [_pause(found), "" if hours.include(found.now) else "it is out of hours"]
    passing = [_battery(policy, found.battery, low=low), _use(policy, found.idle_s)]
    reasons = tuple(filter(None, [*lasting, *passing]))
    return Verdict(reasons, low, passing=any(passing))


def paused(found: Circumstances) -> bool:
    """Whether a pause that was said is not over yet."""
    until_s = found.paused_until_s
    return found.paused and (until_s is None or found.now.timestamp() < until_s)


def is_low(policy: Policy, battery: Battery | None, *, was_low: bool) -> bool:
    """Two levels: below one it is low, and it stays so until it is above the other."""
    if battery is None or battery.charge is None:
        return False
    return battery.charge < (policy.battery_start if was_low else policy.battery_stop)


def _pause(found: Circumstances) -> str:
    if not paused(found):
        return ""
    if found.paused_until_s is None:
        return "its owner paused it"
    until = datetime.fromtimestamp(found.paused_until_s, found.now.tzinfo)
    return f"its owner paused it until {until:%Y-%m-%d %H:%M}"


def _battery(policy: Policy, battery: Battery | None, *, low: bool) -> str:
    if battery is None or battery.on_mains or battery.on_mains is None:
        return ""
    if not policy.on_battery:
        return "it is on battery"
    return f"its battery is low ({battery.charge:g} %)" if low else ""


def _use(policy: Policy, idle_s: float | None) -> str:
    if policy.idle_after is None:
        return ""
    if idle_s is None:
        return "whether somebody uses it is not known here"
    return "" if idle_s >= policy.idle_after else "somebody uses it"
