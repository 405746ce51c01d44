"""Keeps one device free for the oldest task that waits for a GPU, so that small work cannot starve it.

Whoever needs a GPU and more needs them on one device at one moment; tasks that need less would take
every part of it as it becomes free. So the device that lacks least is kept for it: no other
task of the same or a lower priority is placed there until this one is.
"""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.amounts import Amounts
from scheduler.demand import Demand
from scheduler.offer import Offer
from scheduler.open_tasks import OpenTask, OpenTasks


class Reservation:
    """At most one: a task, and the device that is kept for it."""

    def __init__(self, tasks: OpenTasks) -> None:
        self._tasks = tasks
        self._task: OpenTask | None = None
        self.device_id = ""
        """empty: none is kept"""

    def holder(self) -> OpenTask | None:
        """Who waits for it; nobody if that task waits no more."""
        task = self._task
        if task is not None and (self._tasks.get(task.key) is not task or task.key not in self._tasks.queue):
            self.release()
        return self._task

    def release(self) -> None:
        self._task, self.device_id = None, ""

    def choose(self, blocked: Iterable[OpenTask], offers: Iterable[Offer]) -> None:
        """Keep the best device for the first of these tasks, by priority and age, that needs a GPU."""
        able = [task for task in blocked if task.demand.need.gpu]
        if not able:
            return
        task = min(able, key=lambda each: (-each.task.priority, each.life.submitted_ms, each.key))
        best = nearest(task.demand, offers)
        if best is not None:
            self._task, self.device_id = task, best.device_id

    def bars(self, task: OpenTask) -> str:
        """The device on which this task may not be placed; empty if it may anywhere."""
        holder = self._task
        free = holder is None or holder is task or task.task.priority > holder.task.priority
        return "" if free else self.device_id


def nearest(demand: Demand, offers: Iterable[Offer]) -> Offer | None:
    """Of the devices that could hold it if they were idle, the one that lacks least now."""
    able = [
        offer
        for offer in offers
        if offer.total.covers(demand.need) and not offer.closed and not demand.terms.broken_by(offer)
    ]
    return min(able, key=lambda offer: (_lacking(demand.need, offer), offer.device_id), default=None)


def _lacking(need: Amounts, offer: Offer) -> float:
    """How much of what it needs is in use, summed over the dimensions as parts of the need."""
    pairs = zip(need, offer.free, strict=True)
    return sum(max(0, amount - free) / amount for amount, free in pairs if amount)
