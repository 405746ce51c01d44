"""What a process says about itself in its log, for people or for programs."""

from __future__ import annotations

import logging
import sys
from typing import IO

import msgspec

from rpn.settings import Settings
from rpn.tokens import without_tokens

_encode = msgspec.json.Encoder().encode


class WithoutTokens(logging.Formatter):
    """Writes what another formatter does, without the secret of any token in it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return without_tokens(self._inner.format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _encode(line).decode()


def configure_logging(settings: Settings, *, stream: IO[str] = sys.stderr) -> None:
    """Send every logger of the process to `stream` in the chosen form."""
    handler = logging.StreamHandler(stream)
    lines = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(WithoutTokens(JsonFormatter() if settings.log_format == "json" else lines))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
