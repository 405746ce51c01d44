"""One leadership: load what the store holds, then read, decide and commit until deposed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping
from time import perf_counter

from rpn.replica import Change, Mirrored, What
from rpn.settings import SchedulerSettings
from rpn.store import backlog as backlogs
from rpn.store.commits import WINDOW, Commits, Posted
from rpn.store.connection import Connection
from rpn.store.intake import Intake
from rpn.store.keys import Keys
from rpn.store.records import StoredTask, SubmitEntry, TaskStreamEntry
from rpn.store.tasks import Tasks
from scheduler.counts import Counts
from scheduler.docket import Item
from scheduler.matchmaker import BATCH_LIMIT, Matchmaker
from scheduler.poison import Poison
from scheduler.queue import TaskKey
from scheduler.reporter import Reporter
from scheduler.standing import Standing

COMMIT_LIMIT = 2048
"""writes in one commit, about: it must be short beside the lease"""
UNHEARD_LIMIT = 4 * BATCH_LIMIT
"""entries that may wait in memory before we stop reading"""
ROUND_PART = 20
"""of the lease: a round should take no more"""


class Term:
    """What lives exactly as long as one fence."""

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        settings: SchedulerSettings,
        devices: Mapping[str, Mirrored],
        clock: Callable[[], int],
        counts: Counts,
        *,
        fence: int,
        poison: Collection[Poison] = (),
    ) -> None:
        lease_ms = int(settings.scheduler_lease_s * 1000)
        self._connection = connection
        self._keys = keys
        self._renew_ms = max(1, lease_ms // 4)
        self._clock = clock
        self._counts = counts
        self._commits = Commits(
            connection,
            keys,
            fence=fence,
            lease_ms=lease_ms,
            inbox_ttl_ms=int(settings.task_retention_s * 1000),
        )
        self._intake = Intake(connection, keys)
        self._tasks = Tasks(connection, keys)
        self._matchmaker = Matchmaker(devices, settings, counts, fence=fence, poison=poison)
        self._reporter = Reporter(connection, keys, self._matchmaker.news, clock)
        self._changes: list[Change] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._renewed_s = 0.0
        self._under_way: deque[tuple[list[Item], Posted]] = deque()
        """commits whose outcomes are not known yet"""

    def heard(self, changes: list[Change]) -> None:
        """What the mirror learned; measurements matter at once only to tasks that wait."""
        self._changes += changes
        if self._matchmaker.queued or any(change.what is not What.REPORTED for change in changes):
            self._wake.set()

    def standing(self) -> Standing:
        return self._matchmaker.standing()

    async def run(self) -> None:
        """Lead. Raises Deposed, StoreUnavailable or Poisoned, in a group: all memory is void then."""
        queued = await self._take_over()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._load(queued))
                group.create_task(self._read())
                group.create_task(self._decide())
                group.create_task(self._reporter.run())
        finally:
            await self._intake.close()

    async def _take_over(self) -> list[TaskKey]:
        """All that holds something of a device; answers what waits for one: requests need not wait for that.

        There may be much of it: it is taken over in parts, and the lease is renewed between them.
        """
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(self._keep_renewing())
            backlog, names = await backlogs.begin(self._connection, self._keys)
            given, queued = await backlogs.parted(self._connection, self._keys, names)
            self._changes.clear()  # the ledger is built from the mirror, which has them
            self._matchmaker.begin(backlog, self._clock())
            async for tasks in backlogs.chunks(self._connection, self._keys, given):
                self._matchmaker.take_over(tasks, self._clock())
            renewing.cancel()
        return queued

    async def _load(self, queued: list[TaskKey]) -> None:
        """What waits, while requests are answered already."""
        async for tasks in backlogs.chunks(self._connection, self._keys, queued):
            self._matchmaker.take_over(tasks, self._clock())
            await asyncio.sleep(0)
        self._matchmaker.ready(self._clock())
        self._wake.set()

    async def _keep_renewing(self) -> None:
        while True:
            await self._commits.send([])
            await asyncio.sleep(self._renew_ms / 1000)

    async def _read(self) -> None:
        while True:
            while self._matchmaker.unheard >= UNHEARD_LIMIT:
                self._room.clear()
                await self._room.wait()
            intaken = await self._intake.read(block_ms=self._renew_ms, count=self._matchmaker.batch)
            if any(intaken):
                for stream, entry_id in intaken.unreadable:
                    self._matchmaker.drop(stream, entry_id)
                stored = await self._submitted(intaken.tasks)
                self._matchmaker.hear(intaken.requests, intaken.tasks, stored)
                self._wake.set()
                await asyncio.sleep(0)  # what was read is decided and on its way before we ask for more

    async def _submitted(self, entries: list[tuple[str, TaskStreamEntry]]) -> dict[TaskKey, StoredTask]:
        """The tasks that these entries submit, unless the entry has it all."""
        names = [
            (entry.submitter_id, entry.task_id)
            for _, entry in entries
            if isinstance(entry, SubmitEntry) and not entry.record
        ]
        if not names:
            return {}
        loaded = await self._tasks.load(names)
        return {name: task for name, task in zip(names, loaded, strict=True) if task is not None}

    async def _decide(self) -> None:
        while True:
            self._wake.clear()
            changes, self._changes = self._changes, []
            started_s = perf_counter()
            items = self._matchmaker.decide(changes, self._clock(), early=self._post)
            if items or self._under_way:
                self._counts.rounds.took(perf_counter() - started_s)
            await self._fetch()
            await self._commit(items)
            self._matchmaker.pace(perf_counter() - started_s, limit_s=4 * self._renew_ms / 1000 / ROUND_PART)
            self._room.set()
            await self._rest(self._matchmaker.rest_ms(self._clock(), limit_ms=self._renew_ms))

    async def _fetch(self) -> None:
        """The payloads of what is to be run."""
        orders = self._matchmaker.orders
        missing = orders.missing()
        orders.fill(dict(zip(missing, await self._tasks.records(missing), strict=True)))

    async def _commit(self, items: list[Item]) -> None:
        """Write the decisions; with none, renew the lease if that is due."""
        loop, started_s = asyncio.get_running_loop(), perf_counter()
        if not items and not self._under_way:
            if loop.time() - self._renewed_s < self._renew_ms / 1000:
                return
            self._post([])
        for part in _parts(items):
            if len(self._under_way) == WINDOW:
                await self._settle(started_s)
            self._post(part)
        while self._under_way:
            await self._settle(started_s)
        self._renewed_s = loop.time()

    def _post(self, part: list[Item]) -> None:
        """Send one commit, behind those that are under way."""
        self._under_way.append((part, self._commits.post([item.decision for item in part])))

    async def _settle(self, started_s: float) -> None:
        """Learn what became of the first that is under way; of which we wait since then."""
        part, posted = self._under_way.popleft()
        committed = await self._commits.known(posted)
        took_s = perf_counter() - started_s
        self._counts.store_writes.took(took_s)
        if part:
            self._counts.commit_s += took_s
            self._matchmaker.settle(part, committed, self._clock())

    async def _rest(self, rest_ms: int) -> None:
        """Until there are news, but no longer; at least long enough for the others to run."""
        if rest_ms <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(rest_ms / 1000):
                await self._wake.wait()
        except TimeoutError:
            return


def _parts(items: list[Item]) -> list[list[Item]]:
    """As many commits as it takes, in order."""
    parts: list[list[Item]] = []
    weight = 0
    for item in items:
        weight += item.decision.weight
        if weight > COMMIT_LIMIT or not parts:
            parts.append([])
            weight = item.decision.weight
        parts[-1].append(item)
    return parts
