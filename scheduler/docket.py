"""Collects the decisions of one round, and what to do about each that the store skips.

A decision that rests on a device's presence only ever adds a reservation, so undoing it frees
what it took and nobody can have been given that meanwhile. Whatever frees something rests on
nothing and is never skipped: what it freed may be given away in the same commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rpn.store.commits import Decision


class Item(NamedTuple):
    """One decision; `undo` makes the memory as if it had not been taken."""

    decision: Decision
    undo: Callable[[int], None] | None = None
    """called with the time"""


class Docket:
    """The decisions taken since they were last collected, in order."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def decide(self, undo: Callable[[int], None] | None = None) -> Decision:
        """A new decision, to be filled; without `undo` it must rest on nothing."""
        decision = Decision()
        self._items.append(Item(decision, undo))
        return decision

    def collect(self) -> list[Item]:
        """All of them, once; those that turned out empty are left out."""
        items, self._items = self._items, []
        return [item for item in items if _says_something(item.decision)]


def _says_something(decision: Decision) -> bool:
    return bool(decision.commands or decision.deliveries or decision.orders)
