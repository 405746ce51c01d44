"""The promises of rpn.cli.keeper, kept with real programs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rpn.cli.keeper import PATIENCE_DEATHS, YOUNG_S, Keeper, Patience, Program
from rpn.cli.logs import Output
from rpn.errors import ServerFailed
from tests.support.patience import PATIENCE_S

SLEEP = "import time; time.sleep(60)"
PATIENT = f"print('here', flush=True); {SLEEP}"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {PATIENT}"


class Stage:
    """A keeper, and what it was heard to say."""

    def __init__(self, tmp_path: Path, command: Callable[[], list[str]]) -> None:
        self.shown: list[str] = []
        self.said: list[str] = []
        self.given_up = asyncio.Event()
        self.hurry = asyncio.Event()
        output = Output(tmp_path / "log", self.shown.append, verbose=True)
        self.keeper = Keeper(Program("it", command), output, self.said.append)
        self.task = asyncio.create_task(self.keeper.keep(self.given_up.set))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.005)

    async def end(self, limit_s: float = 5) -> None:
        await self.keeper.end(limit_s=limit_s, hurry=self.hurry)
        await self.task


def python(code: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-I", "-S", "-c", code]


@pytest.fixture
async def play(tmp_path: Path) -> Callable[[Callable[[], list[str]]], Awaitable[Stage]]:
    async def start(command: Callable[[], list[str]]) -> Stage:
        return Stage(tmp_path, command)

    return start


Play = Callable[[Callable[[], list[str]]], Awaitable[Stage]]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_first_death_is_forgiven_at_once_the_next_ones_later() -> None:
    patience = Patience()
    assert [patience.after(1) for _ in range(PATIENCE_DEATHS)] == [0.0, 0.25, 0.5, 1.0, None]


def test_a_long_life_earns_new_patience() -> None:
    patience = Patience()
    delays = [patience.after(1), patience.after(1), patience.after(YOUNG_S + 1), patience.after(1)]
    assert delays == [0.0, 0.25, 0.0, 0.25]


async def test_a_killed_program_is_started_again(play: Play) -> None:
    stage = await play(python(PATIENT))
    await stage.until(lambda: stage.shown == ["here"])
    first = stage.keeper.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await stage.until(lambda: stage.shown == ["here", "here"])
    assert stage.said == ["it was killed (SIGKILL); starting it again"]
    await stage.end()
    assert not alive(first)


async def test_ending_leaves_nothing_running(play: Play) -> None:
    stage = await play(python(PATIENT))
    await stage.until(lambda: stage.shown == ["here"])
    pid = stage.keeper.pid
    await stage.end()
    assert pid is not None
    assert not alive(pid)
    assert stage.said == []


async def test_what_does_not_end_in_time_is_killed(play: Play) -> None:
    stage = await play(python(STUBBORN))
    await stage.until(lambda: stage.shown == ["here"])
    await stage.end(limit_s=0.05)
    assert stage.said == ["it does not end in 0.05 s: killing it"]
    assert not stage.given_up.is_set()


async def test_in_a_hurry_nobody_gets_time(play: Play) -> None:
    stage = await play(python(STUBBORN))
    await stage.until(lambda: stage.shown == ["here"])
    stage.hurry.set()
    async with asyncio.timeout(PATIENCE_S):
        await stage.end(limit_s=60)


async def test_who_says_that_starting_cannot_help_is_not_started_again(play: Play) -> None:
    stage = await play(python("print('bad setting'); raise SystemExit(2)"))
    await stage.given_up.wait()
    await stage.task
    assert stage.said == ["it ended with status 2; giving up"]
    assert list(stage.keeper.output.last) == ["bad setting"]


async def test_who_keeps_dying_young_is_given_up(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpn.cli.keeper.FIRST_DELAY_S", 0.0)
    stage = await play(python("raise SystemExit(1)"))
    await stage.given_up.wait()
    await stage.task
    assert len(stage.said) == PATIENCE_DEATHS
    assert stage.said[-1].endswith("giving up")


async def test_what_cannot_be_started_at_all_is_given_up(play: Play) -> None:
    def fail() -> list[str]:
        raise ServerFailed("the disk is full")

    stage = await play(fail)
    await stage.given_up.wait()
    await stage.task
    assert stage.said == ["it: the disk is full; giving up"]


async def test_a_grandchild_that_keeps_the_output_open_does_not_delay_the_restart(play: Play) -> None:
    stage = await play(python(f"import os\nif os.fork(): print(os.getpid(), flush=True)\n{SLEEP}"))
    await stage.until(lambda: len(stage.shown) == 1)
    group = int(stage.shown[0])
    os.kill(group, signal.SIGKILL)
    await stage.until(lambda: len(stage.shown) == 2)
    await stage.end()
    for leader in map(int, stage.shown):
        os.killpg(leader, signal.SIGKILL)
