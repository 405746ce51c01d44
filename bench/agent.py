"""What an agent adds to the work it is given: built-ins, a module, and a command beside a bare spawn."""

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
from rpn.messages import Acked, FromServer, Message, TaskAssign, TaskDone
from tests.support import make
from tests.support.blob_double import blob_double
from tests.support.workbench import workbench

MODULE = Path(__file__).parents[1] / "examples" / "wasm" / "mandelbrot.wasm"
TINY_PICTURE = ["8", "4", "10"]
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

    async def run(self, heard: Callable[[FromServer], None], assign: TaskAssign) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        heard(assign)
        done = await self._ended
        heard(Acked(ids=[assign.attempt]))
        if not done.result.success:
            raise RuntimeError(done.result.error)


async def measure(count: int) -> None:
    client = Listening()
    config = parse_config(CONFIG, source="bench")
    with TemporaryDirectory() as folder:
        async with blob_double() as double, workbench(Path(folder), config, double.gateway) as bench:
            bench.sent = client
            module = {"module": {"blob": double.add(MODULE.read_bytes())}, "args": TINY_PICTURE}

            async def run(assign: TaskAssign) -> None:
                await client.run(bench.runner.heard, assign)

            await show("echo, answered at once", count, lambda: run(make.assign("echo", "x")))
            await show("sha256, in a warm worker", count, lambda: run(make.assign("sha256", "x")))
            await show(
                "a module, in a warm worker", count, lambda: run(make.assign(task_type="wasm", data=module))
            )
            await beside(
                "the command true, and a bare spawn", count, lambda: run(make.assign("true", None)), _spawn
            )


async def _spawn() -> None:
    subprocess.run(["true"], check=True)


async def show(what: str, count: int, run: Callable[[], Awaitable[None]]) -> None:
    took_ms = [await _took_ms(run) for _ in range(count + count // 10)]
    print(f"{what}: {_described(took_ms[count // 10 :])}", flush=True)


async def beside(
    what: str, count: int, run: Callable[[], Awaitable[None]], bare: Callable[[], Awaitable[None]]
) -> None:
    """The two in turns of ten, so that what else the machine does weighs on both alike."""
    took_ms: list[float] = []
    bare_ms: list[float] = []
    for _ in range(count // 10 + 1):
        took_ms += [await _took_ms(run) for _ in range(10)]
        bare_ms += [await _took_ms(bare) for _ in range(10)]
    print(f"{what}: {_described(took_ms[10:])}; {_described(bare_ms[10:])}", flush=True)
    print(f"  above it: {statistics.median(took_ms[10:]) - statistics.median(bare_ms[10:]):.2f} ms")


async def _took_ms(run: Callable[[], Awaitable[None]]) -> float:
    began_s = perf_counter()
    await run()
    return 1000 * (perf_counter() - began_s)


def _described(took_ms: list[float]) -> str:
    return f"p50 {statistics.median(took_ms):.2f} ms, p10 {sorted(took_ms)[len(took_ms) // 10]:.2f} ms"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200)
    asyncio.run(measure(options.parse_args().count))


if __name__ == "__main__":
    main()
