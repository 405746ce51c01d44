"""What a task writes: its result from standard output, its log from standard error, both within limits."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable

import msgspec

from rpn.model import TaskResult

OUTPUT_LIMIT_KIB = 256
LOG_LIMIT_KIB = 64
"""of one `task_progress`"""
LOG_INTERVAL_S = 0.1
TAIL_CHARS = 2000
"""How much of the end of standard error stands in the error of a failed task."""
OUTPUT = "OUTPUT"
"""The code of a task that wrote more than a result may hold."""


def result_of(written: bytes) -> TaskResult:
    """Standard output as a result: JSON if it is, else text; OUTPUT if it is too much for a message."""
    for read in (_as_json, _as_text):
        try:
            result = TaskResult(success=True, result=read(written))
            size = len(msgspec.json.encode(result))
        except (ValueError, RecursionError, OverflowError):  # msgspec's errors are ValueErrors
            continue
        return result if size <= OUTPUT_LIMIT_KIB * 1024 else too_much()
    return TaskResult(success=False, error="the output cannot be read", code=OUTPUT)


def _as_json(written: bytes) -> object:
    return msgspec.json.decode(written)


def _as_text(written: bytes) -> object:
    return written.decode(errors="replace")


def too_much() -> TaskResult:
    return TaskResult(success=False, error=f"the output exceeds {OUTPUT_LIMIT_KIB} KiB", code=OUTPUT)


class Collector(asyncio.Protocol):
    """Keeps what comes, up to `limit_kib`; `on_too_much` is called once when that is passed."""

    def __init__(self, on_too_much: Callable[[], None], *, limit_kib: int = OUTPUT_LIMIT_KIB) -> None:
        self.written = bytearray()
        self.ended = asyncio.get_running_loop().create_future()
        self._on_too_much = on_too_much
        self._limit_bytes = limit_kib * 1024
        self._too_much = False

    def data_received(self, data: bytes) -> None:
        if self._too_much:
            return
        self.written += data
        if len(self.written) > self._limit_bytes:
            self._too_much = True
            self.written.clear()
            self._on_too_much()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class Log(asyncio.Protocol):
    """Passes lines on as they come, at most one piece each `LOG_INTERVAL_S`.

    A task that writes faster than that waits, as one does that writes to a slow terminal.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self.tail = ""
        self._tell = tell
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._waiting = ""
        self._pause: asyncio.TimerHandle | None = None
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.ReadTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        text = self._decode(data)
        self._waiting += text
        self.tail = (self.tail + text)[-TAIL_CHARS:]
        if self._pause is None:
            self._flush()
        elif len(self._waiting) > LOG_LIMIT_KIB * 1024 and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, _: Exception | None) -> None:
        if self._pause is not None:
            self._pause.cancel()
        while self._waiting:
            self._tell(self._take())
        if not self.ended.done():
            self.ended.set_result(None)

    def _flush(self) -> None:
        self._pause = None
        if not self._waiting:
            return
        self._tell(self._take())
        self._pause = asyncio.get_running_loop().call_later(LOG_INTERVAL_S, self._flush)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _take(self) -> str:
        limit_chars = LOG_LIMIT_KIB * 1024
        text, self._waiting = self._waiting[:limit_chars], self._waiting[limit_chars:]
        return text
