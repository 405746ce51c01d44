"""The promises of rpn.store.usage: sums by month that grow once with each commit."""

from __future__ import annotations

import pytest

from rpn.model import Usage
from rpn.store.commits import Decision
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.usage import DAY_MS, MONTHS, Accounts, Charge, counted, month_of, months_until
from tests.store.deciding import lead

NOVEMBER_MS = 1_793_491_200_000
HOUR_MS = 3_600_000


def charging(*charges: Charge) -> Decision:
    decision = Decision()
    for charge in charges:
        decision.charge(charge)
    return decision


def test_the_months_that_are_kept_are_this_one_and_a_year() -> None:
    months = months_until(NOVEMBER_MS)
    assert (months[0], months[-1], len(months)) == ("2026-11", "2025-11", MONTHS)
    assert months[0] == month_of(NOVEMBER_MS)


def test_one_sum_grows_by_one_command_however_many_charge_it() -> None:
    charge = Charge(NOVEMBER_MS, "a", "me", 100, 0, 0)
    assert counted([charge] * 3, set())[:2] == [
        ("HINCRBY", ("given", "2026-11"), "cpu:a", 300),
        ("HINCRBY", ("used", "2026-11"), "cpu:me", 300),
    ]


def test_the_sums_of_a_month_are_told_once_to_expire() -> None:
    charge, kept = Charge(NOVEMBER_MS, "a", "me", 100, 0, 0), set[tuple[str, str]]()
    later = [charge, charge._replace(until_ms=NOVEMBER_MS + 31 * DAY_MS)]
    told = [[each[1] for each in counted([one], kept) if each[0] == "PEXPIRE"] for one in (charge, *later)]
    assert told == [
        [("given", "2026-11"), ("used", "2026-11")],
        [],
        [("given", "2026-12"), ("used", "2026-12")],
    ]


async def test_what_was_given_and_used_adds_up_in_hours(connection: Connection, keys: Keys) -> None:
    commits = await lead(connection, keys)
    whole = Charge(NOVEMBER_MS, "a:b", "me", 200 * HOUR_MS, 1024 * HOUR_MS, HOUR_MS)
    await commits.send([charging(whole), charging(whole._replace(device_id="c", gpu=0))])
    given, used = await Accounts(connection, keys).read(months_until(NOVEMBER_MS))
    assert given == {"a:b": Usage(2, 1, 1), "c": Usage(2, 1, 0)}
    assert used == {"me": Usage(4, 2, 1)}
    assert await Accounts(connection, keys).read(["2026-10"]) == ({}, {})


async def test_a_decision_that_may_be_skipped_charges_nothing(connection: Connection, keys: Keys) -> None:
    commits = await lead(connection, keys)
    resting = charging(Charge(NOVEMBER_MS, "a", "me", 1, 1, 1))
    resting.rest_on("a", "s g")
    with pytest.raises(ValueError, match="skipped"):
        await commits.send([resting])
