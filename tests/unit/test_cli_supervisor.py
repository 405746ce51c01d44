"""The promises of rpn.cli.supervisor: in order up, in the opposite order down."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from rpn.cli.keeper import Program
from rpn.cli.supervisor import Stage, Supervisor
from rpn.cli.terminal import Terminal
from tests.support.patience import PATIENCE_S

WRITES_ITS_LIFE = """
import signal, sys
def end(*_):
    open(sys.argv[1], "a").write(f"{sys.argv[2]} ends\\n")
    raise SystemExit
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "a").write(f"{sys.argv[2]} begins\\n")
signal.pause()
"""


def program(life: Path, name: str) -> Program:
    return Program(name, lambda: [sys.executable, "-I", "-S", "-c", WRITES_ITS_LIFE, str(life), name])


def stage(life: Path, name: str) -> Stage:
    async def began() -> bool:
        return life.exists() and f"{name} begins" in life.read_text()

    return Stage(name, [program(life, name)], began)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_stages_begin_in_order_and_end_in_the_opposite_order(tmp_path: Path, number: int) -> None:
    life = tmp_path / "life"
    supervisor = Supervisor(Terminal(), tmp_path)
    stages = [stage(life, "store"), stage(life, "gateway"), stage(life, "agent")]
    async with asyncio.timeout(PATIENCE_S):
        assert await supervisor.run(stages, lambda: os.kill(os.getpid(), number))
    order = ["store begins", "gateway begins", "agent begins", "agent ends", "gateway ends", "store ends"]
    assert life.read_text().splitlines() == order


async def test_one_that_cannot_be_kept_ends_all_and_its_last_words_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    life = tmp_path / "life"
    broken = Program("gateway", lambda: [sys.executable, "-I", "-c", "print('no way'); raise SystemExit(2)"])

    async def never() -> bool:
        return False

    async with asyncio.timeout(PATIENCE_S):
        stages = [stage(life, "store"), Stage("the gateway", [broken], never)]
        assert not await Supervisor(Terminal(), tmp_path).run(stages, lambda: None)
    assert life.read_text().splitlines() == ["store begins", "store ends"]
    assert "The last lines of gateway:\n  no way" in capsys.readouterr().err


async def test_a_second_signal_hurries(tmp_path: Path) -> None:
    life = tmp_path / "life"
    stubborn = Program(
        "it",
        lambda: [
            sys.executable,
            "-I",
            "-c",
            "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "open(sys.argv[1], 'w').write('it begins'); time.sleep(60)",
            str(life),
        ],
    )

    async def began() -> bool:
        return life.exists() and bool(life.read_text())

    supervisor = Supervisor(Terminal(), tmp_path)

    def stop_twice() -> None:
        supervisor.stop()
        supervisor.stop()

    async with asyncio.timeout(PATIENCE_S):
        assert await supervisor.run([Stage("it", [stubborn], began)], stop_twice)
