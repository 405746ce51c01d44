"""A matchmaker over a fake store, round by round."""

from __future__ import annotations

from typing import Any

from rpn.codec import pack_record
from rpn.replica import Change, Replica
from rpn.settings import SchedulerSettings
from rpn.store.records import SubmitEntry
from scheduler.counts import Counts
from scheduler.docket import Item
from scheduler.life import active
from scheduler.matchmaker import Matchmaker
from tests.support.scheduling import FakeStore, resources


class Leadership:
    """A matchmaker over a fake store, with a mirror that follows when told to."""

    def __init__(
        self, store: FakeStore, settings: SchedulerSettings | None = None, *, fence: int = 255
    ) -> None:
        self.store = store
        self.settings = settings or SchedulerSettings()
        self.counts = Counts()
        self.replica = Replica()
        self._fence = fence
        self._changes: list[Change] = []
        self._applied = 0
        self.follow()
        self.take_over()

    def take_over(self) -> None:
        """A new leader with the mirror as it is: everything is read anew."""
        self.begin()
        self.complete()

    def begin(self) -> None:
        """A new leader that has not come to the tasks that wait."""
        self._fence += 1
        self._read: set[str] = set()
        self._changes.clear()
        self.matchmaker = Matchmaker(self.replica.devices, self.settings, self.counts, fence=self._fence)
        backlog = self.store.backlog()
        self._queued = [each for each in backlog.tasks if not active(each.life)]
        self.matchmaker.begin(backlog, self.store.now_ms)
        given = [each for each in backlog.tasks if active(each.life)]
        self.matchmaker.take_over(given, self.store.now_ms)

    def complete(self) -> None:
        """It has come to them."""
        self.matchmaker.take_over(self._queued, self.store.now_ms)
        self.matchmaker.ready(self.store.now_ms)

    def follow(self, count: int | None = None) -> None:
        """Let the mirror take over the next `count` events, or all."""
        end = len(self.store.events) if count is None else min(len(self.store.events), self._applied + count)
        for event in self.store.events[self._applied : end]:
            self._changes += self.replica.apply(event)
        self._applied = end

    def round(self, *, follow: bool = True) -> int:
        """Read, decide, commit, settle, once; how many decisions were skipped."""
        if follow:
            self.follow()
        parts = self._decided()
        outcomes = [self.store.commit([item.decision for item in part]) for part in parts]
        for part, committed in zip(parts, outcomes, strict=True):
            self.matchmaker.settle(part, committed, self.store.now_ms)
        return sum(len(committed.skipped) for committed in outcomes)

    def _decided(self) -> list[list[Item]]:
        """What would be written together, in order."""
        store, parts = self.store, list[list[Item]]()
        requests = self._unread(store.requests)
        tasks = self._unread(store.entries)
        stored = {
            (entry.submitter_id, entry.task_id): store.stored((entry.submitter_id, entry.task_id))
            for _, entry in tasks
            if isinstance(entry, SubmitEntry)
        }
        self.matchmaker.hear(requests, tasks, stored)
        changes, self._changes = self._changes, []
        parts.append(self.matchmaker.decide(changes, store.now_ms, early=parts.append))
        orders = self.matchmaker.orders
        orders.fill({key: pack_record(store.tasks[key]) for key in orders.missing()})
        return parts

    def die(self, written: float) -> None:
        """Read and decide, write this part of the decisions, and leave the rest to a successor."""
        items = [item for part in self._decided() for item in part]
        self.store.commit([item.decision for item in items[: round(written * len(items))]])
        self.take_over()

    def rounds(self, count: int = 3, *, after_ms: int = 50) -> None:
        """Several rounds, with time between them."""
        for _ in range(count):
            self.round()
            self.store.now_ms += after_ms

    def _unread(self, stream: dict[str, Any]) -> list[tuple[str, Any]]:
        fresh = [(entry_id, entry) for entry_id, entry in stream.items() if entry_id not in self._read]
        self._read.update(entry_id for entry_id, _ in fresh)
        return fresh


def small_pool(store: FakeStore) -> Leadership:
    """A plain client `me`, the agents `a` (4 cores) and `b` (8), and `sub`, which opted in, with nothing."""
    store.join("me", None, accepts=())
    store.join("a", resources())
    store.join("b", resources(cores=8))
    store.join("sub", None, accepts=("acks",))
    return Leadership(store)
