"""What a task writes, within limits: its result on standard output, log and progress on standard error."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from agent.frames import OUTPUT_LIMIT_KIB
from agent.plan import OUTPUT, failed, too_much
from rpn.codec import storable
from rpn.model import TaskResult

LOG_LIMIT_KIB = 64
"""of one `task_progress`"""
LOG_TOTAL_KIB = 1024
"""of one attempt; what comes after is read and dropped"""
INTERVAL_S = 0.1
TAIL_CHARS = 2000
"""How much of the end of standard error stands in the error of a failed task."""
MARK = "RPN_PROGRESS "
"""A line on standard error that begins so and goes on with a number from 0 to 1 is no log."""
MARK_LIMIT = 64
"""characters of such a line"""
CUT = "\n[what it prints after this is not passed on]\n"


class Telling(NamedTuple):
    """What a task says while it runs."""

    log: str = ""
    progress: float | None = None


def result_of(written: bytes, reads: Literal["auto", "json", "text"] = "auto") -> TaskResult:
    """Standard output as a result: JSON if it is, else text; OUTPUT if it is too much for a message."""
    value: object = written.decode(errors="replace")
    if reads != "text":
        try:
            value = _as_json(written)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            if reads == "json":
                return failed(OUTPUT, "the output is no JSON that a result can hold")
    result = TaskResult(success=True, result=value)
    return result if len(msgspec.json.encode(result)) <= OUTPUT_LIMIT_KIB * 1024 else too_much()


def _as_json(written: bytes) -> object:
    value = msgspec.json.decode(written)
    if not storable(value):
        raise ValueError("nested too deeply, or with integers that are too large")
    return value


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
    """Passes lines on as they come, at most one piece each `INTERVAL_S`.

    A task that writes faster than that waits, as one does that writes to a slow terminal.
    """

    def __init__(self, tell: Callable[[Telling], None]) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self.tail = ""
        self._tell = tell
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._line = _Line()
        self._waiting = ""
        self._progress: float | None = None
        self._left_chars = LOG_TOTAL_KIB * 1024
        self._pause: asyncio.TimerHandle | None = None
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.ReadTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._take_in(*self._line.feed(self._decode(data)))
        if self._pause is None:
            self._flush()
        elif len(self._waiting) > LOG_LIMIT_KIB * 1024 and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, _: Exception | None) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._take_in(*self._line.end())
        while self._waiting or self._progress is not None:
            self._tell(self._take())
        if not self.ended.done():
            self.ended.set_result(None)

    def _take_in(self, text: str, progress: float | None) -> None:
        self.tail = (self.tail + text)[-TAIL_CHARS:]
        self._progress = self._progress if progress is None else progress
        if self._left_chars:
            self._waiting += text[: self._left_chars]
            self._left_chars = max(0, self._left_chars - len(text))
            self._waiting += "" if self._left_chars else CUT

    def _flush(self) -> None:
        self._pause = None
        if not self._waiting and self._progress is None:
            return
        self._tell(self._take())
        self._pause = asyncio.get_running_loop().call_later(INTERVAL_S, self._flush)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _take(self) -> Telling:
        limit_chars = LOG_LIMIT_KIB * 1024
        telling = Telling(self._waiting[:limit_chars], self._progress)
        self._waiting, self._progress = self._waiting[limit_chars:], None
        return telling


class _Line:
    """Tells lines that mark progress from all others; holds back only what may become one."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        """what comes next continues a line that has been passed on"""

    def feed(self, text: str) -> tuple[str, float | None]:
        """(text that is log, the last progress in it)."""
        *lines, last = (self._held + text).split("\n")
        log, progress = [], None
        for line in lines:
            found = None if self._inside else _progress_in(line)
            progress = progress if found is None else found
            log += [] if found is not None else [line + "\n"]
            self._inside = False
        self._held = last if not self._inside and _may_mark(last) else ""
        if not self._held and last:
            log.append(last)
            self._inside = True
        return "".join(log), progress

    def end(self) -> tuple[str, float | None]:
        held, self._held = self._held, ""
        progress = _progress_in(held)
        return ("", progress) if progress is not None else (held, None)


def _may_mark(begin: str) -> bool:
    """Whether a line that begins so may still mark progress."""
    return bool(begin) and (MARK.startswith(begin) or (begin.startswith(MARK) and len(begin) < MARK_LIMIT))


def _progress_in(line: str) -> float | None:
    if not line.startswith(MARK) or len(line) > MARK_LIMIT:
        return None
    try:
        progress = float(line[len(MARK) :])
    except ValueError:
        return None
    return progress if 0 <= progress <= 1 else None
