"""Finds devices for the tasks that wait, and tells which of them never will have one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from rpn.model import TaskState
from rpn.store.records import TaskLife
from scheduler import life as lives
from scheduler.demand import Demand
from scheduler.desk import Desk
from scheduler.foreman import Foreman
from scheduler.open_tasks import OpenTask, OpenTasks
from scheduler.orders import Orders
from scheduler.placement import best_fit
from scheduler.reasons import Reasons
from scheduler.reservation import Reservation
from scheduler.shortfall import feasible
from scheduler.standing import WHY

PAUSE_MS = 20
"""how long the mirror is given to catch up after the store skipped an assignment"""
REVIEW_EVERY_MS = 250
SKIP_AHEAD = 256
"""lines of tasks that may be found not to fit before a round ends: it must be short beside the lease"""
INFEASIBLE = "infeasible:"
"""how the store calls a demand that no device could ever hold; it is due since it became so"""


class Assigner:
    """Takes tasks out of the queue."""

    def __init__(
        self, desk: Desk, tasks: OpenTasks, foreman: Foreman, orders: Orders, reasons: Reasons
    ) -> None:
        self._reasons = reasons
        self._orders = orders
        self._tasks = tasks
        self._foreman = foreman
        self._ledger = desk.ledger
        self._ceilings = desk.ceilings
        self._courier = desk.courier
        self._docket = desk.docket
        self._counts = desk.counts
        self._infeasible_limit_ms = int(desk.settings.infeasible_limit_s * 1000)
        self._fence = desk.fence
        self._number = 0
        self._reservation = Reservation(tasks)
        self._tried = (-1, -1, -1)
        """what had grown of the stock, the queue and what tokens gave back, at the last whole round"""
        self._reviewed_ms = 0
        self._extent = -1
        self._infeasible: dict[Demand, int | None] = {}
        """demand -> since when no device could ever hold it, None if one could"""
        self._recalled: dict[str, int] = {}
        """what leaderships before have noted of that, by name"""
        self.resume_ms = 0
        """no assignments before"""

    def assign(self, now_ms: int, *, limit: int, told: Callable[[int], None]) -> bool:
        """One pass over the queue, of at most `limit` assignments; whether it was cut short.

        `told` hears after each how many there are.
        """
        if not self.wanted(now_ms):
            return False
        reserved = self._reservation.holder()
        if reserved is not None and (self._over(reserved) or self._place(reserved, now_ms)):
            self._reservation.release()
        blocked: list[OpenTask] = []
        over = 0
        queue_round = self._tasks.queue.round(self._tasks.usage)
        placed = 0
        while placed < limit:
            turn = queue_round.next()
            if turn is None or len(blocked) + over >= SKIP_AHEAD:
                self._tried = self._state()
                if self._reservation.holder() is None:
                    self._reservation.choose(blocked, self._ledger.offers.values())
                return False
            key, _ = turn
            task = self._tasks.get(key)
            if task is not None and self._over(task):
                queue_round.blocked()
                over += 1
                self._reasons.waits(task, over=True)
            elif task is not None and self._place(task, now_ms):
                placed += 1
                queue_round.placed()
                told(placed)
            else:
                queue_round.blocked()
                if task is not None:
                    blocked.append(task)
                    self._reasons.waits(task, over=False)
        return True

    def wanted(self, now_ms: int) -> bool:
        """Whether a round could assign anything that the last one could not."""
        return len(self._tasks.queue) > 0 and self._state() != self._tried and now_ms >= self.resume_ms

    def _state(self) -> tuple[int, int, int]:
        """What a round rests on, as far as it could let one more task in."""
        return self._ledger.stock.growth, self._tasks.queue.revision, self._ceilings.revision

    def _over(self, task: OpenTask) -> bool:
        """Its token has the share of the pool that it may have: no other task waits for that."""
        return task.demand.patron is not None and not self._ceilings.admits(task.demand)

    def review(self, now_ms: int) -> None:
        """Fail what no device of the pool could ever run, for so long as the limit says.

        A task whose submitter said how long it may wait is left to wait.
        """
        if now_ms - self._reviewed_ms < REVIEW_EVERY_MS:
            return
        self._reviewed_ms = now_ms
        self._note_feasibility(now_ms)
        for demand, since_ms in self._infeasible.items():
            if since_ms is None or now_ms - since_ms < self._infeasible_limit_ms:
                continue
            why = self._reasons.of(demand, now_ms).message
            for key in self._tasks.queue.waiting_with(demand):
                task = self._tasks.get(key)
                if task is not None and self._tired(task, now_ms):
                    failed = lives.infeasible(task.life, why, now_ms=now_ms)
                    self._tasks.move(self._docket.decide(), task, failed, now_ms)

    def _note_feasibility(self, now_ms: int) -> None:
        known = self._infeasible if self._extent == self._ledger.extent else {}
        noted: dict[Demand, int | None] = {}
        for demand in self._tasks.queue.demands():
            if demand in known:
                noted[demand] = known[demand]
            elif self._ceilings.could(demand) and feasible(demand, self._ledger.stock):
                noted[demand] = None
            else:
                since_ms = self._infeasible.get(demand) or self._recalled.get(_name(demand))
                noted[demand] = now_ms if since_ms is None else since_ms
        for demand in noted.keys() & self._infeasible.keys():
            if (noted[demand] is None) != (self._infeasible[demand] is None):
                self._reasons.changed(demand)
        self._reasons.forget_all_but(set(noted))
        self._remember(noted)
        self._infeasible, self._extent = noted, self._ledger.extent

    def depths(self) -> dict[str, int]:
        """How many wait, by the code of the reason."""
        found = {**dict.fromkeys(WHY, 0), "RESTING": self._tasks.resting}
        for demand, count in self._tasks.queue.depths().items():
            found[self._why(demand)] += count
        return found

    def _why(self, demand: Demand) -> str:
        if self._infeasible.get(demand) is not None:
            return "INFEASIBLE"
        return "INSUFFICIENT" if self._ceilings.admits(demand) else "QUOTA"

    def recall(self, name: str, since_ms: int) -> bool:
        """Take over what a leadership before has noted; whether it was one of our notes."""
        if not name.startswith(INFEASIBLE):
            return False
        self._recalled[name] = since_ms
        return True

    def _remember(self, noted: dict[Demand, int | None]) -> None:
        """Let the store know since when, so that a new leader goes on counting."""
        since = {_name(demand): since_ms for demand, since_ms in noted.items() if since_ms is not None}
        if since == self._recalled:
            return
        decision = self._docket.decide()
        for name in self._recalled.keys() - since.keys():
            decision.undue(name)
        for name, since_ms in since.items():
            if self._recalled.get(name) != since_ms:
                decision.due(name, since_ms)
        self._recalled = since

    def _tired(self, task: OpenTask, now_ms: int) -> bool:
        waited_ms = now_ms - lives.queued_ms(task.life)
        return task.task.queue_timeout_s is None and waited_ms >= self._infeasible_limit_ms

    def _place(self, task: OpenTask, now_ms: int) -> bool:
        """Give the task to the device that fits best; its submitter's own comes last."""
        demand, barred = task.demand, self._reservation.bars(task)
        offer = best_fit(demand.without(barred) if barred else demand, self._ledger.stock)
        presence = self._courier.presence(offer.device_id) if offer is not None else ""
        if offer is None or not presence:
            return False
        before = task.life
        turn = lives.assign(
            before,
            attempt=self._next_attempt(),
            device_id=offer.device_id,
            session=presence.partition(" ")[0],
            now_ms=now_ms,
        )
        undo = partial(self._take_back, task, turn.life, before)
        decision = self._docket.rely(offer.device_id, presence, undo)
        self._tasks.move(decision, task, turn, now_ms)
        self._orders.give(decision, task, presence)
        self._foreman.assigned(task, now_ms)
        self._tasks.served(task.task.submitter_id)
        self._counts.attempts += 1
        self._counts.waits.took(max(0, now_ms - lives.queued_ms(before)) / 1000)
        return True

    def _take_back(self, task: OpenTask, assigned: TaskLife, before: TaskLife, now_ms: int) -> None:
        """The store skipped an assignment: the task waits again, where it waited."""
        self._counts.attempts -= 1
        self.resume_ms = now_ms + PAUSE_MS
        if task.life is assigned and assigned.state is TaskState.ASSIGNED:
            self._tasks.move_back(task, before, now_ms)

    def _next_attempt(self) -> str:
        """A name that no other attempt of this pool ever has."""
        self._number += 1
        return f"{self._fence:x}-{self._number:x}"


def _name(demand: Demand) -> str:
    """The same for the same demand, in every process."""
    terms = demand.terms
    told = (*demand.need, demand.devices, sorted(terms.labels), sorted(terms.exclude), *terms[2:])
    whose = () if demand.patron is None else (demand.patron,)
    return INFEASIBLE + hashlib.sha256(repr(told + whose).encode()).hexdigest()[:24]
