"""Callers that wait for the end of a task: one look at the store serves all of them."""

from __future__ import annotations

import asyncio

from rpn.errors import StoreUnavailable
from rpn.store.task_index import TaskIndex

LOOK_EVERY_S = 0.05
LOOKS_PER_S = 5000
"""tasks that may be looked at in a second, all callers together; with more, looks become rarer"""

Name = tuple[str, str]
"""(submitter, task id)"""


class Waits:
    """Who waits here for which task."""

    def __init__(self, index: TaskIndex) -> None:
        self._index = index
        self._waiting: dict[Name, list[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    async def over(self, name: Name, *, within_s: float) -> None:
        """Return when the task has ended, at the latest after so many seconds."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(ended)
        self._wake.set()
        try:
            async with asyncio.timeout(within_s):
                await ended
        except TimeoutError:
            return
        finally:
            self._forget(name, ended)

    async def run(self) -> None:
        """Look for ever, while somebody waits."""
        while True:
            await self._wake.wait()
            while self._waiting:
                await asyncio.sleep(max(LOOK_EVERY_S, len(self._waiting) / LOOKS_PER_S))
                await self._look()
            self._wake.clear()

    async def _look(self) -> None:
        names = list(self._waiting)
        try:
            over = await self._index.over(names)
        except StoreUnavailable:
            return  # it may be back before their time is over
        for name, is_over in zip(names, over, strict=True):
            for ended in self._waiting.get(name, ()) if is_over else ():
                if not ended.done():
                    ended.set_result(None)

    def _forget(self, name: Name, ended: asyncio.Future[None]) -> None:
        waiting = self._waiting[name]
        waiting.remove(ended)
        if not waiting:
            del self._waiting[name]
