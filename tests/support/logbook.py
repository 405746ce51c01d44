"""What a server wrote, in order: its append-only file, read as a history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hiredis

TRANSACTION = (b"MULTI", b"EXEC")


def steps(directory: Path) -> Iterator[list[list[bytes]]]:
    """The commands of each atomic step, in the order in which they took effect."""
    step: list[list[bytes]] = []
    within = False
    for command in _commands(directory):
        word = command[0].upper()
        if word in TRANSACTION:
            within = word == b"MULTI"
        else:
            step.append(command)
        if not within and step:
            yield step
            step = []


def _commands(directory: Path) -> Iterator[list[bytes]]:
    for path in sorted(directory.rglob("*.incr.aof")):
        reader = hiredis.Reader()
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                reader.feed(data)
                while (command := reader.gets()) is not False:
                    yield command
