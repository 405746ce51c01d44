"""Who shows wrong tokens is answered late and slowly, whatever it does; nobody else waits."""

from __future__ import annotations

import asyncio

import pytest

from gateway.guesses import DELAY_S, EVERY_S, GRID_S, HELD_LIMIT, WRONG_LIMIT, WRONG_SPAN_S, Guesses
from rpn.errors import RateLimited
from tests.support.clock import virtual_time

THERE, ELSEWHERE = "10.0.0.1", "10.0.0.2"


def wrong(guesses: Guesses, times: int, address: str = THERE) -> list[bool]:
    """Whether each of them was one too many."""
    refused = []
    for _ in range(times):
        try:
            guesses.count(address)
        except RateLimited:
            refused.append(True)
        else:
            refused.append(False)
    return refused


async def held_s(guesses: Guesses, address: str = THERE) -> float:
    """How long an answer to this address is held."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await guesses.hold(address)
    return loop.time() - began_s


@virtual_time
async def test_ten_wrong_tokens_a_minute_are_forgiven() -> None:
    guesses = Guesses()
    assert wrong(guesses, WRONG_LIMIT + 1) == [False] * WRONG_LIMIT + [True]
    await asyncio.sleep(WRONG_SPAN_S + 1)
    assert wrong(guesses, 1) == [False]
    assert await held_s(guesses) == 0


@virtual_time
async def test_one_too_many_waits_and_nobody_else_does() -> None:
    guesses = Guesses()
    assert await held_s(guesses) == 0
    wrong(guesses, WRONG_LIMIT + 1)
    assert DELAY_S <= await held_s(guesses) <= DELAY_S + GRID_S
    assert await held_s(guesses, ELSEWHERE) == 0


@virtual_time
async def test_however_many_come_at_once_they_leave_one_after_the_other() -> None:
    guesses = Guesses()
    wrong(guesses, WRONG_LIMIT + 1)
    took = await asyncio.gather(*(held_s(guesses) for _ in range(100)))
    for number, each_s in enumerate(took):
        assert -1e-9 <= each_s - DELAY_S - number * EVERY_S <= GRID_S + 1e-9
    assert len({round(each_s, 6) for each_s in took}) <= 60


@virtual_time
async def test_addresses_of_one_network_are_one() -> None:
    guesses = Guesses()
    for number in range(WRONG_LIMIT + 1):
        refused = wrong(guesses, 1, f"2001:db8::{number + 1:x}")
    assert refused == [True]
    assert await held_s(guesses, "2001:db8::ffff") > 0


@virtual_time
async def test_only_so_many_are_held() -> None:
    guesses = Guesses()
    wrong(guesses, WRONG_LIMIT + 1)
    waiting = [asyncio.create_task(guesses.hold(THERE)) for _ in range(HELD_LIMIT)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await guesses.hold(THERE)
    for each in waiting[1:]:
        each.cancel()
    await asyncio.wait(waiting)
    assert await held_s(guesses) > 0


@virtual_time
async def test_who_has_stopped_is_forgotten_however_many_there_were() -> None:
    guesses = Guesses()
    for number in range(300):
        wrong(guesses, WRONG_LIMIT + 1, f"10.1.{number // 250}.{number % 250}")
    await asyncio.sleep(WRONG_SPAN_S + 1)
    wrong(guesses, 1)
    assert guesses.remembered == 1
