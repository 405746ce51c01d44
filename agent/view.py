"""What the tasks of a root agent see of folders that root keeps to itself: only what they need there.

Such tasks run as users of their own, who may not even pass through a folder like /root. Where
something they need stands below one, the folder is covered, for the warden and its tasks alone,
by an empty one in which just that is shown.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from agent import kernel


def uncover(needed: Iterable[str]) -> None:
    """Let everybody reach the files and folders `needed`. Raises OSError where that cannot be."""
    hidden = _hidden({path for path in map(os.path.abspath, needed) if os.path.exists(path)})
    if not hidden:
        return
    kernel.own_mounts()
    opened = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for paths in hidden.values() for path in paths}  # type: ignore[attr-defined,unused-ignore] # Linux
    try:
        for folder, paths in hidden.items():
            kernel.cover(folder)
            for path in _outermost(paths):
                _show(path, opened[path])
    finally:
        for fd in opened.values():
            os.close(fd)


def _hidden(needed: Iterable[str]) -> dict[str, list[str]]:
    """What cannot be reached, by the outermost folder that stands in the way."""
    found: dict[str, list[str]] = {}
    for path in needed:
        for each in {path, os.path.realpath(path)}:
            barrier = _barrier(each)
            if barrier is not None:
                found.setdefault(barrier, []).append(each)
    return found


def _barrier(path: str) -> str | None:
    for folder in _folders_above(path):
        with suppress(OSError):
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return folder
    return None


def _folders_above(path: str) -> list[str]:
    """The outermost first."""
    above = os.path.dirname(path)
    return [*_folders_above(above), above] if above != path else []


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(f"{outer}/") for outer in kept):
            kept.append(path)
    return kept


def _show(path: str, fd: int) -> None:
    source = f"/proc/self/fd/{fd}"
    if os.path.isdir(source):
        os.makedirs(path, mode=0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.bind(source, path)
