"""Pipes read and written by threads, for loops that cannot watch them: those of Windows."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from contextlib import suppress

from agent.pipes import READ_BYTES, Inflow, Outflow


class ThreadedInflow(Inflow):
    """As Inflow; what a process wrote last may come a moment later than what it says elsewhere."""

    def __init__(self, fd: int, protocol: asyncio.Protocol) -> None:
        asyncio.ReadTransport.__init__(self)
        self._fd = fd
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._is_closing = False
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._is_heard = threading.Semaphore()
        protocol.connection_made(self)
        threading.Thread(target=self._read_all, daemon=True).start()

    def drain(self) -> None:
        """It comes by itself."""

    def pause_reading(self) -> None:
        self._goes_on.clear()

    def resume_reading(self) -> None:
        self._goes_on.set()

    def close(self) -> None:
        """Hear no more; the file is closed when its other end is."""
        if not self._is_closing:
            self._is_closing = True
            self._goes_on.set()
            self._protocol.connection_lost(None)

    def _read_all(self) -> None:
        data = b"-"
        with suppress(RuntimeError):  # the loop is gone
            while data and not self._is_closing:
                self._goes_on.wait()
                self._is_heard.acquire()
                data = self._next()
                self._loop.call_soon_threadsafe(self._hear, data)
        os.close(self._fd)

    def _next(self) -> bytes:
        try:
            return os.read(self._fd, READ_BYTES)
        except OSError:
            return b""

    def _hear(self, data: bytes) -> None:
        self._is_heard.release()
        if self._is_closing:
            return
        if data:
            self._protocol.data_received(data)
        else:
            self.close()


class ThreadedOutflow(Outflow):
    """As Outflow."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._given: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._is_closed = False
        threading.Thread(target=self._write_all, daemon=True).start()

    def write(self, data: bytes) -> None:
        self._given.put(data)

    def end(self) -> None:
        self._given.put(None)

    def close(self) -> None:
        self._is_closed = True
        self._given.put(None)

    def _write_all(self) -> None:
        with suppress(OSError):  # nobody reads it any more
            while (data := self._given.get()) is not None:
                self._write_whole(data)
        os.close(self._fd)

    def _write_whole(self, data: bytes) -> None:
        left = memoryview(data)
        while left and not self._is_closed:
            left = left[os.write(self._fd, left[:READ_BYTES]) :]
