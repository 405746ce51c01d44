"""What an agent adds to the work it is given: built-ins, and a command beside a bare spawn."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from agent.config import parse_config
from rpn.messages import Message, TaskAssign, TaskDone
from tests.support import make
from tests.support.workbench import workbench

CONFIG = """
[commands.true]
argv = ["true"]
"""


class Listening(list[Message]):
    """What a runner says; whoever waits for the end of an attempt hears of it at once."""

    def __init__(self) -> None:
        super().__init__()
        self._ended: asyncio.Future[TaskDone] | None = None

    def extend(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, TaskDone) and self._ended is not None and not self._ended.done():
                self._ended.set_result(message)

    async def run(self, heard: Callable[[TaskAssign], None], assign: TaskAssign) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        heard(assign)
        done = await self._ended
        if not done.result.success:
            raise RuntimeError(done.result.error)


async def measure(count: int) -> None:
    client = Listening()
    with TemporaryDirectory() as folder:
        async with workbench(Path(folder), parse_config(CONFIG, source="bench")) as bench:
            bench.sent = client
            heard = bench.runner.heard
            await show("echo, answered at once", count, lambda: client.run(heard, make.assign("echo", "x")))
            await show(
                "sha256, in a warm worker", count, lambda: client.run(heard, make.assign("sha256", "x"))
            )
            await show("the command true", count, lambda: client.run(heard, make.assign("true", None)))
    await show("a bare spawn of true", count, _spawn)


async def _spawn() -> None:
    subprocess.run(["true"], check=True)


async def show(what: str, count: int, run: Callable[[], Awaitable[None]]) -> None:
    took_ms: list[float] = []
    for _ in range(count + count // 10):
        began_s = perf_counter()
        await run()
        took_ms.append(1000 * (perf_counter() - began_s))
    took_ms = sorted(took_ms[count // 10 :])
    print(f"{what}: p50 {statistics.median(took_ms):.2f} ms, p10 {took_ms[count // 10]:.2f} ms", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200)
    asyncio.run(measure(options.parse_args().count))


if __name__ == "__main__":
    main()
