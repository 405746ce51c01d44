"""Knows what a decision failed on, so that it ends one leadership and not every one after it.

Half-done work leaves a memory that cannot be trusted: the leadership ends, and the next one reads the
store anew and lets that one thing go.
"""

from __future__ import annotations

from typing import NamedTuple


class Poison(NamedTuple):
    """Something in the store that cannot be decided on."""

    place: str
    """requests and tasks: the streams; open: the tasks that are not over"""
    name: str
    """of the entry, or of the task"""


class Poisoned(Exception):
    """A decision failed, and on what."""

    def __init__(self, poison: Poison, what: object) -> None:
        super().__init__(f"cannot decide on {poison.name} of {poison.place}: {what!r}")
        self.poison = poison
