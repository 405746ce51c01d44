"""Turns what was asked and what happened into decisions: the scheduler without I/O, clock or chance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping

from rpn.replica import Change, Mirrored, What
from rpn.settings import SchedulerSettings
from rpn.store.backlog import Backlog
from rpn.store.commits import Committed
from rpn.store.keys import task_member
from rpn.store.records import (
    ExplainEntry,
    HoldersEntry,
    RequestStreamEntry,
    StoredTask,
    SubmitEntry,
    TaskStreamEntry,
)
from scheduler.allocations import PAUSE_MS, Allocations
from scheduler.assigner import REVIEW_EVERY_MS, Assigner
from scheduler.counts import Counts
from scheduler.desk import Desk
from scheduler.docket import Item
from scheduler.foreman import Foreman
from scheduler.holding import ALLOCATION, REQUESTER
from scheduler.keeper import Keeper
from scheduler.news import News
from scheduler.open_tasks import OpenTasks
from scheduler.orders import Orders
from scheduler.overview import Overview
from scheduler.poison import Poison, Poisoned
from scheduler.queue import TaskKey
from scheduler.reasons import Reasons
from scheduler.standing import Standing

BATCH, BATCH_LIMIT = 128, 1024
"""entries of a stream, and assignments, in one round: at first, and while rounds are short"""
PART, PARTS = 32, 8
"""of them, after which what is decided may be written while the rest is; and how often, of one kind"""
ABSENCE_LIMIT_MS = 2000
"""how long the mirror of a new leader may lack a device before that counts as gone"""


Early = Callable[[list[Item]], object]
"""Sends what is decided while the rest of a round is."""


class Matchmaker:
    """The memory of one leadership. Every round is: decide, commit, settle."""

    def __init__(
        self,
        devices: Mapping[str, Mirrored],
        settings: SchedulerSettings,
        counts: Counts,
        *,
        fence: int,
        poison: Collection[Poison] = (),
    ) -> None:
        """`poison` is what the leaderships before have failed on."""
        desk = Desk(devices, settings, counts, fence=fence)
        self.ledger = desk.ledger
        self.batch = BATCH
        self.news = News()
        """what is to be told of what was written"""
        self.orders = Orders()
        """to agents, which lack their payloads still"""
        self._devices = devices
        self._counts = counts
        self._poison = poison
        self._docket = desk.docket
        self._keeper = desk.keeper
        self._courier = desk.courier
        self._allocations = Allocations(desk)
        self._tasks = OpenTasks(desk)
        self._foreman = Foreman(desk, self._tasks, self.orders)
        self._reasons = Reasons(desk, self._tasks)
        self._assigner = Assigner(desk, self._tasks, self._foreman, self.orders, self._reasons)
        self._overview = Overview(desk, self._allocations.held, self._tasks)
        self._absent = Keeper()
        self.part = PART
        """entries after which what is decided may be written"""
        self._early: Early | None = None
        self._complete = False
        """all tasks are taken over; before, requests are answered and nothing else is done"""
        self._unfolded: list[Change] = []
        """what happened to devices before that"""
        self._request_entries: deque[tuple[str, RequestStreamEntry]] = deque()
        self._task_entries: deque[tuple[str, TaskStreamEntry, StoredTask | None]] = deque()

    def begin(self, backlog: Backlog, now_ms: int) -> None:
        """Start from what the store holds, compared with the devices that are there, but for the tasks."""
        for name, at_ms in backlog.due.items():
            if not self._assigner.recall(name, at_ms):
                self._keeper.remember(name, at_ms)
        for device in self._devices.values():
            self.ledger.update(device)
        self.news.add("leader", now_ms, state="up")
        self._allocations.holding.load(backlog.allocations, now_ms)

    def take_over(self, tasks: Iterable[StoredTask], now_ms: int) -> None:
        """Some of the tasks that the store has open: those that some device has come first."""
        named = [(task_member(each.task.submitter_id, each.task.id), each) for each in tasks]
        self._foreman.load([each for name, each in named if Poison("open", name) not in self._poison], now_ms)

    def ready(self, now_ms: int) -> None:
        """All is taken over. A device that the mirror lacks may have joined a moment ago: give it time."""
        self._complete = True
        self._foreman.loaded(now_ms)
        for device_id in self.ledger.devices():
            if device_id not in self._devices:
                self._absent.remember(device_id, now_ms + ABSENCE_LIMIT_MS)

    def hear(
        self,
        requests: Iterable[tuple[str, RequestStreamEntry]],
        tasks: Iterable[tuple[str, TaskStreamEntry]],
        stored: Mapping[TaskKey, StoredTask],
    ) -> None:
        """Take in what was read from the streams; `stored` has the tasks that were submitted."""
        for entry_id, request in requests:
            if Poison("requests", entry_id) in self._poison:
                self.drop("requests", entry_id)
            else:
                self._request_entries.append((entry_id, request))
        for entry_id, entry in tasks:
            if Poison("tasks", entry_id) in self._poison:
                self.drop("tasks", entry_id)
                continue
            task = stored.get((entry.submitter_id, entry.task_id)) if isinstance(entry, SubmitEntry) else None
            self._task_entries.append((entry_id, entry, task))

    def drop(self, stream: str, entry_id: str) -> None:
        """Let go of an entry that nobody can make sense of, in a decision of its own."""
        decision = self._docket.decide()
        if stream == "requests":
            decision.request_processed(entry_id)
        else:
            decision.task_entry_processed(entry_id)
        self._counts.entries_dropped += 1

    def pace(self, round_s: float, *, limit_s: float) -> None:
        """Take more at once while a round, its commit included, is far shorter than it may be."""
        if round_s > limit_s:
            self.batch = max(BATCH, self.batch // 2)
        elif self.unheard >= self.batch and round_s < limit_s / 3:
            self.batch = min(BATCH_LIMIT, self.batch * 2)

    @property
    def queued(self) -> int:
        """Tasks that wait for a device."""
        return self._tasks.queued

    @property
    def unheard(self) -> int:
        """Entries that were taken in and not looked at yet, though they might be."""
        return len(self._request_entries) + (len(self._task_entries) if self._complete else 0)

    def standing(self) -> Standing:
        """How much there is, for whoever watches."""
        return Standing(
            self.queued,
            self.unheard,
            len(self._allocations.held),
            self._tasks.by_state(),
            self._assigner.depths(),
        )

    def decide(self, changes: Iterable[Change], now_ms: int, early: Early | None = None) -> list[Item]:
        """One round: at most a batch of each kind of work.

        What frees comes before what takes, and nothing here may be done twice for one entry. Of a
        long round `early` is given the beginning, to be written while the rest is decided; what is
        returned follows that.
        """
        self._early = early
        if not self._complete:
            return self._serve(changes, now_ms)
        unfolded, self._unfolded = self._unfolded, []
        self._fold([*unfolded, *changes], now_ms)
        self._ring(now_ms)
        self._foreman.reconcile(now_ms)
        self._hear_tasks(now_ms)
        self._allocations.begin(now_ms)
        self._hear_requests(now_ms)
        self._assigner.assign(now_ms, limit=self.batch, told=lambda placed: self._let_go(placed, self.batch))
        self._assigner.review(now_ms)
        self._reasons.tell(now_ms)
        self._courier.forget_old(now_ms)
        self._overview.stand(now_ms)
        return self._docket.collect()

    def _serve(self, changes: Iterable[Change], now_ms: int) -> list[Item]:
        """Answer requests by what is known: whatever rests on a device that moved on, the store skips."""
        self._unfolded += changes
        self._allocations.begin(now_ms)
        self._hear_requests(now_ms)
        self._overview.stand(now_ms)
        return self._docket.collect()

    def settle(self, items: list[Item], committed: Committed, now_ms: int) -> None:
        """Learn what became of a commit: undo what was skipped, send anew what found nobody."""
        skipped = set(committed.skipped)
        for index, item in enumerate(items):
            if item.decision.news and index not in skipped:
                for kind, what in item.decision.news:
                    self.news.note(kind, now_ms, what)
        for index in committed.skipped:
            undo = items[index].undo
            if undo is not None:
                undo(now_ms)
        for index, place in committed.moved:
            self._courier.moved(items[index].decision.deliveries[place], now_ms)
        self._counts.commits += 1
        self._counts.decisions += sum(item.decision.parts for item in items)
        self._counts.skipped += sum(items[index].decision.parts for index in committed.skipped)
        self._counts.moved += len(committed.moved)

    def rest_ms(self, now_ms: int, *, limit_ms: int) -> int:
        """How long nothing needs to be decided if no news come; 0 if there is work now."""
        if self.unheard or self._docket or (self._complete and self._assigner.wanted(now_ms)):
            return 0
        if not self._complete:
            retry_ms = self._allocations.next_retry_ms()
            return limit_ms if retry_ms is None else max(0, min(limit_ms, retry_ms - now_ms))
        times = [
            now_ms + limit_ms,
            self._keeper.next_ms(),
            self._absent.next_ms(),
            self._allocations.next_retry_ms(),
            self._foreman.next_account_ms(),
            self._tasks.next_ms(),
            self._reasons.next_ms(),
        ]
        if self._foreman.waiting:
            times.append(now_ms + PAUSE_MS)
        if len(self._tasks.queue):
            times.append(now_ms + REVIEW_EVERY_MS)
            if self._assigner.resume_ms > now_ms:
                times.append(self._assigner.resume_ms)
        return max(0, min(at_ms for at_ms in times if at_ms is not None) - now_ms)

    def _let_go(self, done: int, of: int) -> None:
        """So many of one kind are decided: they may be written, unless payloads are to be fetched first."""
        if self._early is None or not done or done % max(self.part, of // PARTS) or self.orders.missing():
            return
        self.orders.fill({})
        if items := self._docket.collect():
            self._early(items)

    def _hear_tasks(self, now_ms: int) -> None:
        count = min(self.batch, len(self._task_entries))
        for number in range(count):
            self._let_go(number, count)
            entry_id, entry, stored = self._task_entries.popleft()
            try:
                if isinstance(entry, ExplainEntry):
                    self._reasons.answer(entry_id, entry, now_ms)
                else:
                    self._foreman.take(entry_id, entry, stored, now_ms)
            except Exception as error:
                raise Poisoned(Poison("tasks", entry_id), entry) from error

    def _hear_requests(self, now_ms: int) -> None:
        count = min(self.batch, len(self._request_entries))
        for number in range(count):
            self._let_go(number, count)
            entry_id, entry = self._request_entries.popleft()
            try:
                if isinstance(entry, HoldersEntry):
                    self._overview.device(entry_id, entry)
                else:
                    self._allocations.take(entry_id, entry, now_ms)
            except Exception as error:
                raise Poisoned(Poison("requests", entry_id), entry) from error

    def _fold(self, changes: Iterable[Change], now_ms: int) -> None:
        reported: dict[str, Mirrored] = {}
        for change in changes:
            device = change.device
            if change.what is What.LEFT:
                reported.pop(device.id, None)
                self._left(device.id, change.reason, now_ms)
                self.news.add("device_left", now_ms, device_id=device.id, reason=change.reason or None)
                continue
            reported[device.id] = device
            if change.what is What.JOINED:
                self.news.add("device_joined", now_ms, device_id=device.id)
            if change.what in (What.JOINED, What.RESUMED):
                self._absent.forget(device.id)
                self._allocations.holding.requester_back(device.id)
                self._foreman.device_back(change, now_ms)
                self._courier.arrived(device, now_ms)
        for device in reported.values():
            self.ledger.update(device)

    def _left(self, device_id: str, reason: str, now_ms: int) -> None:
        self._foreman.device_left(device_id, now_ms)
        self._allocations.device_left(device_id, reason, now_ms)
        self.ledger.remove(device_id)

    def _ring(self, now_ms: int) -> None:
        """Deadlines that have come, those of the store and those of this leadership."""
        for name in self._keeper.rung(now_ms):
            if name.startswith(REQUESTER):
                self._allocations.holding.grace_over(name.removeprefix(REQUESTER), now_ms)
            elif name.startswith(ALLOCATION):
                self._allocations.holding.expired(name.removeprefix(ALLOCATION), now_ms)
            else:
                self._keeper.clear(self._docket.decide(), name)
        for task in self._tasks.alarms.rung(now_ms):
            self._foreman.deadline(task, now_ms)
        self._tasks.rested(now_ms)
        self._foreman.call_to_account(now_ms)
        for device_id in self._absent.rung(now_ms):
            self._absent.forget(device_id)
            if device_id not in self._devices:
                self._left(device_id, "", now_ms)
