"""What running tasks take, looked at a few times a second, and which of them take more than is theirs.

Standard library only: it lives in the warden.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from agent import proc

assert sys.platform != "win32"  # noqa: S101 - for type checkers

GUARDED_S = 0.1
"""How often we look."""
FOLDER_S = 1.0
"""How often we look into folders."""
FOLDER_ENTRIES_LIMIT = 100_000
MB = 2**20


class Guarded:
    """One task under watch: `leader` is its first process, `folder` its own."""

    def __init__(self, leader: int, folder: str, limits: dict[str, Any], *, now_s: float) -> None:
        self.leader = leader
        self.why = ""
        """why it was ended, if it was not by itself"""
        self.left = False
        """something it had started outlived its own parents"""
        self._seen: set[int] = set()
        self._folder = folder
        self._looked_into_folder_s = now_s
        self.hold_to(limits, now_s=now_s)

    def hold_to(self, limits: dict[str, Any], *, now_s: float) -> None:
        """From now on these; its time begins anew."""
        self._limits = limits
        self.ends_s = now_s + limits["wall_s"] if "wall_s" in limits else float("inf")

    def started(self, pid: int) -> bool:
        """Whether a process was among its own when we looked last."""
        return pid in self._seen

    def excess(self, *, now_s: float) -> str:
        """Which limit it has passed: `timeout`, `oom`, `processes`, `storage`; empty if none."""
        if now_s >= self.ends_s:
            return "timeout"
        tree = [found for pid in (self.leader, *proc.descendants(self.leader)) if (found := proc.look(pid))]
        self._seen = {process.pid for process in tree}
        if len(tree) > self._limits.get("processes", float("inf")):
            return "processes"
        if self._memory_passed(tree):
            return "oom"
        return "storage" if self._storage_passed(now_s) else ""

    def _memory_passed(self, tree: list[proc.Process]) -> bool:
        if "memory_mb" not in self._limits:
            return False
        limit_bytes = self._limits["memory_mb"] * MB
        if sum(process.resident_bytes for process in tree) <= limit_bytes:
            return False
        return len(tree) == 1 or sum(map(_fair_bytes, tree)) > limit_bytes  # pages they share count once

    def _storage_passed(self, now_s: float) -> bool:
        if "storage_mb" not in self._limits or now_s - self._looked_into_folder_s < FOLDER_S:
            return False
        self._looked_into_folder_s = now_s
        return holds_more_than(self._folder, self._limits["storage_mb"] * MB)


def holds_more_than(folder: str, limit_bytes: float) -> bool:
    """Whether the files below a folder take more than that, or are too many to count."""
    left_bytes, left_entries = limit_bytes, FOLDER_ENTRIES_LIMIT
    for taken_bytes in _sizes(folder):
        left_bytes -= taken_bytes
        left_entries -= 1
        if left_bytes < 0 or not left_entries:
            return True
    return False


def _sizes(folder: str) -> Iterator[int]:
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    yield entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue  # it went away meanwhile


def _fair_bytes(process: proc.Process) -> int:
    proportional = proc.proportional_bytes(process.pid)
    if proportional is not None:
        return proportional
    now = proc.look(process.pid)  # it may have ended just now
    return now.resident_bytes if now is not None and now.alive else 0


def threads_of(user: int) -> int:
    """How many threads this user runs, anywhere on the machine: what RLIMIT_NPROC counts."""
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += os.stat(f"/proc/{name}/task").st_nlink - 2
        except OSError:
            continue
    return count


def now_s() -> float:
    return time.monotonic()
