"""Leads the pool's scheduling when no other process does, and is ready to otherwise."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from rpn.errors import StoreUnavailable
from rpn.replica import Change, Replica
from rpn.service import cause
from rpn.settings import SchedulerSettings
from rpn.store.commits import Deposed
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.leadership import Leadership
from scheduler.counts import Counts
from scheduler.poison import Poison, Poisoned
from scheduler.standing import Standing
from scheduler.term import Term

log = logging.getLogger(__name__)

RETRY_LIMIT_S = 1.0
"""longest pause between two attempts to reach the store"""


class Leader:
    """Takes the lease whenever it is free; keeps no memory from one leadership to the next."""

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        settings: SchedulerSettings,
        replica: Replica,
        clock: Callable[[], int],
    ) -> None:
        self.counts = Counts()
        self._connection = connection
        self._keys = keys
        self._settings = settings
        self._replica = replica
        self._clock = clock
        self._leadership = Leadership(connection, keys, lease_ms=int(settings.scheduler_lease_s * 1000))
        self._term: Term | None = None
        self._fence: int | None = None
        self._retired = asyncio.Event()
        self._away = False
        self._poison: set[Poison] = set()

    @property
    def leads(self) -> bool:
        return self._fence is not None

    def standing(self) -> Standing:
        """Of our leadership; of nothing while another leads."""
        return self._term.standing() if self._term is not None else Standing()

    def heard(self, changes: list[Change]) -> None:
        """The mirror has changed."""
        if self._term is not None:
            self._term.heard(changes)

    async def run(self) -> None:
        """Lead or stand by until told to step down; the mirror must have been loaded.

        It ends by itself then: a task group that fails while it is cancelled (a commit refused
        after the lease was given back) tells only of the failure.
        """
        pause_s = 0.0
        while not self._retired.is_set():
            try:
                self._fence = await self._leadership.take()
                if self._fence is None:
                    pause_s = self._settings.scheduler_lease_s / 4
                else:
                    await self._lead(self._fence)
                    pause_s = 0.0
                self._reached()
            except StoreUnavailable as error:
                self._missed(error)
                pause_s = min(pause_s * 2 or 0.05, RETRY_LIMIT_S)
            await asyncio.sleep(pause_s * random.uniform(0.7, 1))

    async def step_down(self) -> None:
        """Let another lead at once, and do not lead again."""
        self._retired.set()
        if self._fence is not None:
            await self._release(self._fence)

    async def _lead(self, fence: int) -> None:
        """One leadership. Raises StoreUnavailable when the store was lost on the way."""
        log.info("leading, fence %x", fence)
        self._reached()
        self.counts.takeovers += 1
        self._term = Term(
            self._connection,
            self._keys,
            self._settings,
            self._replica.devices,
            self._clock,
            self.counts,
            fence=fence,
            poison=self._poison,
        )
        lost: StoreUnavailable | None = None
        try:
            await asyncio.create_task(self._term.run())  # its own: CPython's count of cancels ends with it
        except* Deposed:
            self.counts.refused += not self._retired.is_set()
            log.info("no longer leading")
        except* Poisoned as poisoned:
            self._learn(poisoned)
        except* StoreUnavailable as group:
            lost = StoreUnavailable(str(group.exceptions[0]))
        finally:
            self._term, self._fence = None, None
        await self._release(fence)
        if lost is not None:
            raise lost

    def _learn(self, failure: BaseException) -> None:
        """The next leadership reads everything anew, and lets this one thing go."""
        poisoned = cause(failure, Poisoned)
        if poisoned is not None:
            log.error("%s", poisoned, exc_info=poisoned.__cause__)
            self._poison.add(poisoned.poison)

    async def _release(self, fence: int) -> None:
        try:
            await self._leadership.release(fence)
        except StoreUnavailable as error:
            log.debug("the lease runs out by itself: %s", error)

    def _missed(self, error: StoreUnavailable) -> None:
        """Say once that the store is away."""
        if not self._away:
            log.warning("waiting for the store: %s", error)
        self._away = True

    def _reached(self) -> None:
        if self._away:
            log.info("the store is back")
        self._away = False
