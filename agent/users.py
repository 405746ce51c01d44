"""The users that a root agent's tasks run as: one for each that runs, from a range nobody else has."""

from __future__ import annotations

import os
from zlib import crc32

FIRST_CHOICES = ((1_900_000_000, 4096), (61_184, 4))
"""Where our ranges begin, and how many there are: above what containers are given; else where users
are that exist only while a service runs."""
COUNT = 1024
"""of users in a range"""


class Users:
    """Hands out user ids; None where the agent is no root, or has no range of its own."""

    def __init__(self, first: int | None) -> None:
        self._first = first
        self._taken: set[int] = set()

    @property
    def available(self) -> bool:
        return self._first is not None

    def take(self) -> int | None:
        if self._first is None:
            return None
        user = next(self._first + n for n in range(COUNT) if self._first + n not in self._taken)
        self._taken.add(user)
        return user

    def give_back(self, user: int | None) -> None:
        self._taken.discard(user if user is not None else -1)


def first_user(name: str) -> int | None:
    """Where the range of the agent of this `name` begins, so that two on one machine hardly share one.

    None if we are not root or know no such range.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            known = [tuple(map(int, line.split())) for line in file]
    except OSError:
        return None
    for first, ranges in FIRST_CHOICES:
        end = first + ranges * COUNT
        if any(inside <= first and end <= inside + count for inside, _, count in known):
            return first + crc32(name.encode()) % ranges * COUNT
    return None
