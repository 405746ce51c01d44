"""Reads a variable of the environment, or the file that its twin with `_FILE` names: secrets stand there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rpn.errors import BadSettings


def told(variable: str, environ: Mapping[str, str]) -> str | None:
    """Its value; None if nobody set it. Raises BadSettings if the file cannot be read."""
    path = environ.get(f"{variable}_FILE")
    if not path:
        return environ.get(variable)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{variable}_FILE: {error}") from None
