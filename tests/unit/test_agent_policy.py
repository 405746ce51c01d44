"""What an owner allows, and when: pure rules over made-up circumstances."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from agent.hours import Hours, parse_hours
from agent.offer import offered
from agent.policy import Battery, Circumstances, Policy, Verdict, judge
from rpn.model import PoolUsage, Resources

MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MACHINE = Resources(20, 80, 4, 4000, 12000, 16000, 100, 900, 1000, has_gpu=True, gpu_name="A", gpu_usage=5.0)


def verdict(policy: Policy, before: Verdict | None = None, **found: Any) -> Verdict:
    return judge(policy, Circumstances(**{"now": MONDAY_NOON, **found}), before or Verdict())


def test_an_owner_who_said_nothing_offers_everything() -> None:
    assert verdict(Policy()).open
    assert offered(MACHINE, None, Policy(), is_open=True) == MACHINE


def test_a_pause_holds_until_its_time_is_over() -> None:
    now_s = MONDAY_NOON.timestamp()
    assert verdict(Policy(), paused=True).reasons == ("its owner paused it",)
    assert verdict(Policy(), paused=True, paused_until_s=now_s + 1).reasons
    assert verdict(Policy(), paused=True, paused_until_s=now_s).open


@pytest.mark.parametrize(
    ("spans", "when", "included"),
    [
        ([], "mon 12:00", True),
        (["mon-fri 18:00-08:00"], "mon 12:00", False),
        (["mon-fri 18:00-08:00"], "mon 18:00", True),
        (["mon-fri 18:00-08:00"], "sat 07:59", True),
        (["mon-fri 18:00-08:00"], "sat 08:00", False),
        (["mon-fri 18:00-08:00"], "mon 07:00", False),
        (["sat,sun"], "sun 23:59", True),
        (["sat,sun"], "mon 00:00", False),
        (["fri-mon 10:00-11:00"], "sun 10:30", True),
        (["22:00-06:00"], "wed 05:59", True),
        (["22:00-24:00", "00:00-01:00"], "wed 00:30", True),
        (["00:00-24:00"], "wed 23:59", True),
    ],
)
def test_hours_may_go_over_midnight(spans: list[str], when: str, included: bool) -> None:
    day, clock = when.split()
    hour, minute = map(int, clock.split(":"))
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    moment = datetime(2026, 11, 23 + days.index(day), hour, minute, tzinfo=UTC)
    assert Hours(parse_hours(spans)).include(moment) == included


@pytest.mark.parametrize("text", ["", "noon", "mon 25:00-26:00", "xyz 10:00-11:00", "mon 9-10", "mon-"])
def test_what_are_no_hours_is_named(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"hours|days|no time"):
        msgspec.convert({"hours": [text]}, Policy)


def test_on_battery_nothing_is_offered_unless_its_owner_says_so() -> None:
    on_battery = Battery(90, on_mains=False)
    assert verdict(Policy(), battery=on_battery).reasons == ("it is on battery",)
    assert verdict(Policy(), battery=Battery(90, on_mains=True)).open
    assert verdict(Policy(on_battery=True), battery=on_battery).open
    assert verdict(Policy(), battery=Battery(None, None)).open, "unknown is no reason"


def test_a_battery_around_its_level_does_not_flap() -> None:
    policy, now = Policy(on_battery=True, battery_stop=30, battery_start=50), Verdict()
    opened = []
    for charge in (31, 30, 29, 30, 31, 49, 50, 49, 31, 30, 29):
        now = verdict(policy, now, battery=Battery(charge, on_mains=False))
        opened.append(now.open)
    assert opened == [True, True, False, False, False, False, True, True, True, True, False]


@pytest.mark.parametrize(("idle_s", "is_open"), [(None, False), (0, False), (299, False), (300, True)])
def test_only_when_idle_means_that_it_is_known_to_be(idle_s: float | None, is_open: bool) -> None:
    assert verdict(Policy(idle_after=300), idle_s=idle_s).open == is_open


def test_all_reasons_are_told() -> None:
    policy = Policy(hours=["sat"], idle_after=60)
    found = verdict(policy, paused=True, battery=Battery(10, on_mains=False), idle_s=1)
    assert len(found.reasons) == 4


def test_a_share_is_what_the_pool_may_have_and_not_what_is_left() -> None:
    half = Policy(cpu=50, memory=50, storage=50)
    found = offered(MACHINE, None, half, is_open=True)
    assert (found.cpu_available, found.memory_available, found.storage_available) == (50, 8000, 500)
    busy = offered(MACHINE, PoolUsage(cpu=100, memory=3000), half, is_open=True)
    assert (busy.cpu_available, busy.memory_available) == (25, 5000)
    assert (busy.cpu_usage, busy.memory_total) == (MACHINE.cpu_usage, MACHINE.memory_total)
    full = offered(MACHINE, PoolUsage(cpu=300, memory=9000), half, is_open=True)
    assert (full.cpu_available, full.memory_available) == (0, 0)


def test_what_is_withheld_is_not_offered() -> None:
    found = offered(MACHINE, PoolUsage(memory=10), Policy(), is_open=False)
    assert (found.cpu_available, found.memory_available, found.storage_available) == (0, 0, 0)
    assert found.memory_usage == MACHINE.memory_usage


def test_a_gpu_that_is_not_shared_is_not_there() -> None:
    found = offered(MACHINE, None, Policy(gpu=False), is_open=True)
    assert (found.has_gpu, found.gpu_name, found.gpu_usage) == (False, None, None)


def test_two_levels_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="battery_start is below battery_stop"):
        msgspec.convert({"battery_stop": 60, "battery_start": 50}, Policy)
