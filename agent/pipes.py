"""The three pipes of a process, with our ends on the loop: asyncio's own cost a dozen of its turns a process.

Protocols are asyncio's: they hear of data, and of the end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import chain
from typing import NamedTuple

READ_BYTES = 1 << 16
"""what a pipe holds; more would have the allocator fetch fresh memory for each read"""

DRAIN_READS = 16
"""together what the largest pipe holds"""


class Inflow(asyncio.ReadTransport):
    """Passes on what comes out of a pipe, from now until its end or `close`."""

    def __init__(self, fd: int, protocol: asyncio.Protocol) -> None:
        super().__init__()
        os.set_blocking(fd, False)  # type: ignore[attr-defined,unused-ignore] # not Windows
        self._fd = fd
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._is_closing = self._is_paused = False
        self._loop.add_reader(fd, self._read)
        protocol.connection_made(self)

    def drain(self) -> None:
        """Pass on what is there already, paused or not; not for ever, should it come as fast."""
        for _ in range(DRAIN_READS):
            if self._is_closing or not self._read():
                return

    def _read(self) -> bool:
        """Whether there was something."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if data:
            self._protocol.data_received(data)
        else:
            self.close()
        return bool(data)

    def pause_reading(self) -> None:
        if not (self._is_closing or self._is_paused):
            self._is_paused = True
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        if self._is_paused and not self._is_closing:
            self._is_paused = False
            self._loop.add_reader(self._fd, self._read)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if self._is_closing:
            return
        self.pause_reading()
        self._is_closing = True
        os.close(self._fd)
        self._protocol.connection_lost(None)


class Outflow:
    """Writes into a pipe, as fast as it is emptied; what nobody reads any more is dropped."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)  # type: ignore[attr-defined,unused-ignore] # not Windows
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._ends = self._is_closed = False

    def write(self, data: bytes) -> None:
        if self._is_closed or self._ends:
            return
        if not self._waiting:
            data = data[self._written(data) :]
            if data and not self._is_closed:
                self._loop.add_writer(self._fd, self._go_on)
        self._waiting += data

    def end(self) -> None:
        """Close it when all is written."""
        self._ends = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close it at once."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_writer(self._fd)
            os.close(self._fd)

    def _go_on(self) -> None:
        del self._waiting[: self._written(self._waiting)]
        if not self._waiting and not self._is_closed:
            self._loop.remove_writer(self._fd)
            if self._ends:
                self.close()

    def _written(self, data: bytes | bytearray) -> int:
        """How much of it the pipe took."""
        try:
            return os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # nobody reads it any more
            self.close()
            return len(data)


class Pipes(NamedTuple):
    """Our ends, and what the process gets, which is whoever's who starts it."""

    stdin: Outflow
    stdout: Inflow
    stderr: Inflow
    theirs: tuple[int, int, int]

    def close(self) -> None:
        for flow in (self.stdin, self.stdout, self.stderr):
            flow.close()


def pipes(output: asyncio.Protocol, log: asyncio.Protocol) -> Pipes:
    """Fresh ones; `output` hears of standard output, `log` of standard error. Raises OSError."""
    made: list[tuple[int, int]] = []
    try:
        while len(made) < 3:
            made.append(os.pipe())
    except OSError:
        for end in chain(*made):
            os.close(end)
        raise
    (stdin, stdin_in), (stdout_out, stdout), (stderr_out, stderr) = made
    into, out_of = flows()
    return Pipes(into(stdin_in), out_of(stdout_out, output), out_of(stderr_out, log), (stdin, stdout, stderr))


def flows() -> tuple[type[Outflow], type[Inflow]]:
    """What our ends are on this platform."""
    if sys.platform != "win32":
        return Outflow, Inflow
    from agent.threaded_pipes import ThreadedInflow, ThreadedOutflow

    return ThreadedOutflow, ThreadedInflow
