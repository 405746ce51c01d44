"""Keeps one program running: starts it, starts it again when it dies, ends it when told.

waiting -> running        [keep]  its command line is made and started
running -> waiting        [it died]  again at once; later and later if it keeps dying young
running -> over           [end]  asked to end, killed when its time is up
running -> given up       [it keeps dying, or says that starting again cannot help]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rpn.cli.logs import Output
from rpn.errors import ServerFailed

YOUNG_S = 5.0
PATIENCE_DEATHS = 5
FIRST_DELAY_S = 0.25
HOPELESS_STATUS = 2
READ_BYTES = 64 << 10


@dataclass(frozen=True)
class Program:
    """What to keep running."""

    name: str
    command: Callable[[], Sequence[str]]
    """makes the command line, anew for every start; may raise ServerFailed, may block shortly"""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    explain: Callable[[], str] = lambda: ""
    """why it died, if more can be said than its status tells"""


@dataclass(frozen=True)
class Death:
    """How a life of a program ended."""

    text: str
    may_return: bool = True


class Patience:
    """How long to wait before the next start, given how long each life was."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, lived_s: float) -> float | None:
        """Seconds to wait; None when it died young too often in a row."""
        self._deaths = self._deaths + 1 if lived_s < YOUNG_S else 1
        if self._deaths >= PATIENCE_DEATHS:
            return None
        return 0.0 if self._deaths == 1 else FIRST_DELAY_S * 2.0 ** (self._deaths - 2)


class Keeper:
    """Keeps a `Program` running; says what happens, and when it gives up."""

    def __init__(self, program: Program, output: Output, say: Callable[[str], None]) -> None:
        self.program = program
        self.output = output
        self.failed = False
        self.pid: int | None = None
        self._say = say
        self._has_lived = False
        self._process: Process | None = None
        self._ending = asyncio.Event()
        self._over = asyncio.Event()

    async def keep(self, give_up: Callable[[], None]) -> None:
        """Run until `end`; if the program cannot be kept running, call `give_up` and return."""
        patience = Patience()
        clock = asyncio.get_running_loop().time
        try:
            while not self._ending.is_set():
                started_s = clock()
                death = await self._live()
                if self._ending.is_set():
                    return
                delay_s = patience.after(clock() - started_s) if death.may_return else None
                if delay_s is None:
                    self.failed = True
                    self._say(f"{death.text}; giving up")
                    return
                self._say(f"{death.text}; starting it again" + (f" in {delay_s:g} s" if delay_s else ""))
                await self._pause(delay_s)
        finally:
            self._over.set()
            if self.failed:
                give_up()

    async def end(self, *, limit_s: float, hurry: asyncio.Event) -> None:
        """Ask the program to end; kill it when `limit_s` is over or there is a hurry."""
        self._ending.set()
        self._signal(signal.SIGTERM)
        await _either(self._over, hurry, limit_s)
        if not self._over.is_set():
            given = "" if hurry.is_set() else f" in {limit_s:g} s"
            self._say(f"{self.program.name} does not end{given}: killing it")
            self._signal(signal.SIGKILL)
        await self._over.wait()

    async def _live(self) -> Death:
        """One life of the program, from its start to its death."""
        try:
            command = await asyncio.to_thread(self.program.command)
        except ServerFailed as error:
            return Death(f"{self.program.name}: {error}", may_return=self._has_lived)
        with self._listening() as pipe:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=pipe,
                stderr=pipe,
                env=dict(self.program.environ),
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends all in order
            )
            os.close(pipe)
            self.pid, self._has_lived = self._process.pid, True
            try:
                if self._ending.is_set():
                    self._signal(signal.SIGTERM)
                return self._death(await self._process.wait())
            finally:
                self._signal(signal.SIGKILL)
                self._process = self.pid = None

    @contextlib.contextmanager
    def _listening(self) -> Iterator[int]:
        """The writing end of a pipe into the output, for the program (and to be closed here once it has it).

        What the program leaves behind may hold the pipe open: it is read until its death, not to its end.
        """
        self.output.restart()
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, self._read, reading)
        try:
            yield writing
        finally:
            self._read(reading)
            self.output.flush()
            loop.remove_reader(reading)
            os.close(reading)

    def _read(self, pipe: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(pipe, READ_BYTES):
                self.output.feed(data)
            asyncio.get_running_loop().remove_reader(pipe)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _death(self, status: int) -> Death:
        how = f"was killed ({_signal_name(-status)})" if status < 0 else f"ended with status {status}"
        why = self.program.explain() if status > 0 else ""
        text = f"{self.program.name} {how}" + (f": {why}" if why else "")
        return Death(text, may_return=status != HOPELESS_STATUS)

    async def _pause(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), delay_s)


async def _either(first: asyncio.Event, second: asyncio.Event, limit_s: float) -> None:
    """Wait until one of two events is set, but not longer than `limit_s`."""
    waiting = [asyncio.ensure_future(event.wait()) for event in (first, second)]
    await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiting:
        waiter.cancel()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
