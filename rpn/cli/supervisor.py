"""Runs several programs as one: starts them stage by stage, and ends them in the opposite order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpn.cli.keeper import Keeper, Program
from rpn.cli.logs import Output
from rpn.cli.terminal import Terminal

END_LIMIT_S = 10
LOOK_EVERY_S = 0.02
REMIND_AFTER_S = 10


async def at_once() -> bool:
    """The readiness of what nobody waits for."""
    return True


@dataclass(frozen=True)
class Stage:
    """Programs that start together once the stage before is ready, and end together."""

    name: str
    programs: Sequence[Program]
    ready: Callable[[], Awaitable[bool]] = at_once


class Supervisor:
    """Keeps the programs of its stages running until a signal, or until one cannot be kept."""

    def __init__(self, terminal: Terminal, log_dir: Path, *, verbose: bool = False) -> None:
        self._terminal = terminal
        self._log_dir = log_dir
        self._verbose = verbose
        self._stages: list[tuple[Stage, list[Keeper]]] = []
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, stages: Sequence[Stage], when_ready: Callable[[], None]) -> bool:
        """Run `stages`; False if it ended because a program could not be kept running."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(self._start(stages, group, when_ready))
            await self._stop.wait()
            starting.cancel()
            self._terminal.say("ending the pool (Ctrl-C again hurries)")
            await self._end()
        self._terminal.say("ended")
        return self._account()

    def stop(self) -> None:
        """End everything in order; told a second time, at once."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def _start(
        self, stages: Sequence[Stage], group: asyncio.TaskGroup, when_ready: Callable[[], None]
    ) -> None:
        for stage in stages:
            keepers = [self._keeper(program) for program in stage.programs]
            self._stages.append((stage, keepers))
            for keeper in keepers:
                group.create_task(keeper.keep(self._stop.set), name=keeper.program.name)
            await self._await_ready(stage)
        when_ready()

    def _keeper(self, program: Program) -> Keeper:
        def show(line: str) -> None:
            self._terminal.child(program.name, line)

        output = Output(self._log_dir / f"{program.name}.log", show, verbose=self._verbose)
        return Keeper(program, output, self._terminal.say)

    async def _await_ready(self, stage: Stage) -> None:
        clock = asyncio.get_running_loop().time
        remind_at_s = clock() + REMIND_AFTER_S
        while not await stage.ready():
            await asyncio.sleep(LOOK_EVERY_S)
            if clock() > remind_at_s:
                remind_at_s = clock() + REMIND_AFTER_S
                self._terminal.say(f"still waiting for {stage.name}; the logs are in {self._log_dir}")

    async def _end(self) -> None:
        for _, keepers in reversed(self._stages):
            await asyncio.gather(*(keeper.end(limit_s=END_LIMIT_S, hurry=self._hurry) for keeper in keepers))

    def _account(self) -> bool:
        failed = [keeper for _, keepers in self._stages for keeper in keepers if keeper.failed]
        for keeper in failed:
            if keeper.output.last:
                self._terminal.tail(keeper.program.name, list(keeper.output.last))
        return not failed
