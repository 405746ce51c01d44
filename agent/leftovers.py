"""Ends what tasks have left behind where their warden could not: it was killed itself.

They are known by what no task can take off: the parent that the kernel gave them, which is the agent
(`kernel.adopt_orphans`), and the user that the warden gave them, if the agent is root. Those of an agent
that is gone, too, are also known by the home that they were started with, unless they hid it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from agent import kernel, proc, tree, users

assert sys.platform != "win32"  # noqa: S101 - for type checkers

END_LIMIT_S = 5.0
"""How long killed processes are waited for."""
_PAUSE_S = 0.005


def end(work: str) -> int:
    """Kill what is left of the tasks whose folders were in `work`; how many processes that were."""
    ended: set[int] = set()
    deadline_s = time.monotonic() + END_LIMIT_S
    while (left := set(_left(work))) and time.monotonic() < deadline_s:
        for pid in left:
            tree.kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        ended |= left
        time.sleep(_PAUSE_S)
    return len(ended)


def end_all(folder: str) -> int:
    """The same for every agent whose work was in a folder of `folder`; none of them may be running."""
    with suppress(FileNotFoundError):
        return sum(end(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    return 0


def _left(work: str) -> Iterator[int]:
    own = os.getpid()
    yield from _adopted(own)
    if not os.path.isdir("/proc/self"):
        return  # other platforms tell neither users nor environments so plainly
    first = users.first_user(work)
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own and _is_of(work, f"/proc/{name}", first):
            found = proc.look(int(name))
            if found is not None and found.alive:
                yield found.pid


def _adopted(own: int) -> Iterator[int]:
    """Children that are not ours by birth: what we start stays in our session, which no task is in."""
    if not kernel.adopts_orphans():
        return
    for pid in proc.children(own):
        found = proc.look(pid)
        if found is not None and found.alive and found.session != os.getsid(0):
            yield pid


def _is_of(work: str, process: str, first: int | None) -> bool:
    with suppress(OSError):
        if first is not None and first <= os.stat(process).st_uid < first + users.COUNT:
            return True
        with open(f"{process}/environ", "rb") as environ:
            return f"HOME={work}/".encode() in environ.read()
    return False
