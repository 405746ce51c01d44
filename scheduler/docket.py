"""Collects the decisions of one round, and what to do about each that the store skips.

A decision that rests on a device's presence only ever adds a reservation, so undoing it frees
what it took and nobody can have been given that meanwhile. Whatever frees something rests on
nothing and is never skipped: what it freed may be given away in the same commit. So decisions that
rest on the same thing, or on nothing, may travel as one: they would hold or be skipped together
anyway, and a round of many small ones costs far less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rpn.store.commits import Decision

Undo = Callable[[int], None]
"""Makes the memory as if a decision had not been taken; called with the time."""

SHARED_LIMIT = 64
"""decisions that travel as one"""


class Undoing(list[Undo]):
    """Undoes several, in order."""

    def __call__(self, now_ms: int) -> None:
        for undo in self:
            undo(now_ms)


class Item(NamedTuple):
    """One decision; `undo` makes the memory as if it had not been taken."""

    decision: Decision
    undo: Undo | None = None


class Docket:
    """The decisions taken since they were last collected, in order."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._free: Decision | None = None
        """what rests on nothing, while there is room in it"""
        self._resting: dict[str, tuple[Decision, Undoing]] = {}
        """by presence: what rests on that alone, while there is room in it"""

    def __len__(self) -> int:
        return len(self._items)

    def decide(self, undo: Undo | None = None) -> Decision:
        """A new decision, to be filled; without `undo` it must rest on nothing."""
        decision = Decision()
        self._items.append(Item(decision, undo))
        return decision

    def note(self) -> Decision:
        """One for what rests on nothing, together with others of this round."""
        decision = self._free
        if decision is None or decision.parts >= SHARED_LIMIT:
            decision = self._free = self.decide()
        else:
            decision.parts += 1
        return decision

    def rely(self, device_id: str, presence: str, undo: Undo) -> Decision:
        """One that holds only while a device is where it is, together with others that rest on this."""
        found = self._resting.get(presence)
        if found is None or found[0].parts >= SHARED_LIMIT:
            undoing = Undoing()
            decision = self.decide(undoing)
            decision.rest_on(device_id, presence)
            self._resting[presence] = decision, undoing
        else:
            decision, undoing = found
            decision.parts += 1
        undoing.append(undo)
        return decision

    def collect(self) -> list[Item]:
        """All of them, once; those that turned out empty are left out."""
        items, self._items = self._items, []
        self._free = None
        self._resting.clear()
        return [item for item in items if item.decision.says_something]
