"""What becomes of a child's output: all of it into a bounded file, warnings and errors to the terminal."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

LOG_LIMIT_BYTES = 4 << 20
LINE_LIMIT_BYTES = 64 << 10
LAST_LINES = 20

_text_record = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
_json_record = re.compile(r'\{.*"level": ?"(debug|info|warning|error|critical)"')
_QUIET = {"DEBUG", "INFO"}


class Output:
    """Takes a child's bytes, keeps whole lines, and passes on those that the operator should see."""

    def __init__(self, path: Path, show: Callable[[str], None], *, verbose: bool = False) -> None:
        self._file = LogFile(path)
        self._show = show
        self._verbose = verbose
        self._rest = b""
        self._loud = True
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        """what the process that writes now said last"""

    def restart(self) -> None:
        """A new process writes from now on."""
        self.flush()
        self.last.clear()
        self._loud = True

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        if lines:
            self._file.write(b"\n".join(lines) + b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def flush(self) -> None:
        """Take what stands without a line end for a line."""
        if self._rest:
            self.feed(b"\n")

    def _take(self, line: str) -> None:
        self.last.append(line)
        self._loud = is_loud(line, otherwise=self._loud)
        if self._verbose or self._loud:
            self._show(line)


def is_loud(line: str, *, otherwise: bool) -> bool:
    """Whether a line is, or begins, a record of a warning or an error.

    Lines that begin nothing belong to the record before, whose loudness is `otherwise`.
    """
    record = _text_record.match(line) or _json_record.match(line)
    if record:
        return record[1].upper() not in _QUIET
    return otherwise or "Traceback (most recent call last)" in line


class LogFile:
    """Appends to a file; at its limit the file becomes NAME.1 and a new one begins."""

    def __init__(self, path: Path, *, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes

    def write(self, data: bytes) -> None:
        """Append; what a full disk does not take is lost, and nothing else."""
        try:
            self._append(data)
        except OSError:
            return

    def _append(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)
            size_bytes = file.tell()
        if size_bytes > self._limit_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
