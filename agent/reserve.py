"""Has a recruit ready while tasks come one upon the other, and none while they do not."""

from __future__ import annotations

import sys
from collections.abc import Callable

from agent import recruit

assert sys.platform != "win32"  # noqa: S101 - for type checkers

KEPT_S = 0.5
"""Tasks that begin within so long of each other come in a row; one that waits longer is let go."""
QUIET_S = 0.01
"""When nothing has happened for so long there is time to fork: the task that has just begun came first."""


class Reserve:
    """`make` makes one, and may raise OSError."""

    def __init__(self, make: Callable[[], recruit.Recruit]) -> None:
        self._make = make
        self._spare: recruit.Recruit | None = None
        self._in_a_row = False
        self._taken_s = float("-inf")

    @property
    def pid(self) -> int | None:
        """of the one that waits"""
        return self._spare.pid if self._spare is not None else None

    def take(self, *, now_s: float) -> recruit.Recruit | None:
        """The one that waits, if there is one, for a task that begins now."""
        self._in_a_row = now_s - self._taken_s < KEPT_S
        self._taken_s = now_s
        spare, self._spare = self._spare, None
        return spare

    def tend(self, *, now_s: float) -> None:
        """There is time now: fork one if it will be of use, let it go if it was not."""
        if self._spare is None and self._is_wanted(now_s):
            try:
                self._spare = self._make()
            except OSError:  # the next task is told why
                self._in_a_row = False
        elif self._spare is not None and not self._is_wanted(now_s):
            self._spare.dismiss()
            self._spare = None

    def lose(self, pid: int) -> None:
        """A process of this pid is no more."""
        if pid == self.pid:
            self._spare, self._in_a_row = None, False

    def patience_s(self, *, now_s: float) -> float | None:
        """How soon to `tend` it if nothing else happens; None: never."""
        if self._spare is not None:
            return max(0.0, self._taken_s + KEPT_S - now_s)
        return QUIET_S if self._is_wanted(now_s) else None

    def _is_wanted(self, now_s: float) -> bool:
        return self._in_a_row and now_s - self._taken_s < KEPT_S
