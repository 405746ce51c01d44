"""Processes as the kernel shows them: children, descendants, what each uses; standard library only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CHUNK = 65536
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_HAS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


class Process(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    session: int
    state: str
    cpu_s: float
    """its own time and that of the children it has waited for"""
    resident_bytes: int

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"


def look(pid: int) -> Process | None:
    """The process, or None if there is none."""
    if not sys.platform.startswith("linux"):
        return _look_portably(pid)
    try:
        line = _content(f"/proc/{pid}/stat")
    except OSError:
        return None
    return parse_stat(pid, line)


def parse_stat(pid: int, line: bytes) -> Process:
    """A line of /proc/PID/stat; the name in it may hold spaces and brackets."""
    fields = line[line.rindex(b")") + 2 :].split()
    ticks = sum(int(field) for field in fields[11:15])
    return Process(
        pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        state=fields[0].decode(),
        cpu_s=ticks / TICKS_PER_S,
        resident_bytes=int(fields[21]) * PAGE_BYTES,
    )


def children(pid: int) -> list[int]:
    """The children of a process, those that have ended and are not waited for included."""
    if not sys.platform.startswith("linux"):
        return _children_portably(pid)
    if not _HAS_CHILDREN:  # a kernel built without them
        return [found.pid for found in _everyone() if found.parent == pid]
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        lists = [_content(f"/proc/{pid}/task/{thread}/children") for thread in threads]
    except OSError:
        return []
    return [int(child) for children_of_thread in lists for child in children_of_thread.split()]


def descendants(pid: int) -> list[int]:
    """Everything below a process, nearest first."""
    found = children(pid)
    for child in found:
        found.extend(children(child))
    return found


def proportional_bytes(pid: int) -> int | None:
    """Resident memory with shared pages divided among those who share them; None if unknown."""
    try:
        for line in _content(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None


def _content(path: str) -> bytes:
    """What a file of /proc says: read as a stream it would be asked for its size and its kind first."""
    fd = os.open(path, os.O_RDONLY)
    try:
        parts = [os.read(fd, _CHUNK)]
        while parts[-1]:
            parts.append(os.read(fd, _CHUNK))
    finally:
        os.close(fd)
    return b"".join(parts)


def _everyone() -> Iterator[Process]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (found := look(int(name))) is not None:
            yield found


def _look_portably(pid: int) -> Process | None:
    import psutil  # not on Linux, where the warden does without it

    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        state = "Z" if process.status() == psutil.STATUS_ZOMBIE else "R"
        cpu_s = times.user + times.system
        return Process(pid, process.ppid(), _session(pid), state, cpu_s, process.memory_info().rss)
    except psutil.Error:
        return None


def _children_portably(pid: int) -> list[int]:
    import psutil  # as above

    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def _session(pid: int) -> int:
    if sys.platform == "win32":
        return -1
    try:
        return os.getsid(pid)
    except (OSError, AttributeError):
        return -1
