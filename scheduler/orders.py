"""Orders agents to run tasks: payloads stay in the store, and are fetched for those that run next.

A task that waits takes little room here. Records that came with their submission are kept while
they are few: most tasks run at once, and then nothing need be fetched.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from rpn.codec import encode, unpack_record
from rpn.messages import TaskAssign
from rpn.model import Task
from rpn.store.commits import Decision, Delivery
from scheduler.open_tasks import OpenTask
from scheduler.queue import TaskKey

log = logging.getLogger(__name__)

KEPT_LIMIT = 4 * 2**20
"""bytes of records that are kept"""


class Order(NamedTuple):
    """An assignment whose payload is still to be put in."""

    decision: Decision
    task: OpenTask
    attempt: str
    device_id: str
    presence: str


class Orders:
    """The orders of one round, and the records that are at hand."""

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._kept: deque[tuple[int, OpenTask]] = deque()
        self._size = 0

    def keep(self, task: OpenTask, record: bytes) -> None:
        """Its record came along; the oldest make room for it."""
        task.record = record
        self._kept.append((len(record), task))
        self._size += len(record)
        while self._size > KEPT_LIMIT:
            size, oldest = self._kept.popleft()
            self._size -= size
            oldest.record = b""

    def give(self, decision: Decision, task: OpenTask, presence: str) -> None:
        """Tell the device that has this task to run it; as part of this decision."""
        decision.orders += 1
        life = task.life
        self._orders.append(Order(decision, task, life.attempt, life.device_id, presence))

    def missing(self) -> list[TaskKey]:
        """The tasks whose records must be fetched."""
        return list(dict.fromkeys(order.task.key for order in self._orders if not order.task.record))

    def fill(self, fetched: Mapping[TaskKey, bytes | None]) -> None:
        """Put the payloads into this round's decisions."""
        orders, self._orders = self._orders, []
        for order in orders:
            _fill(order, order.task.record or fetched.get(order.task.key) or b"")


def _fill(order: Order, record: bytes) -> None:
    try:
        frame = encode(_assignment(order.attempt, unpack_record(Task, record)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("the record of task %s cannot be read: %r", order.task.key, error)
    else:
        order.decision.deliver(Delivery(order.device_id, order.presence, frame))


def _assignment(attempt: str, task: Task) -> TaskAssign:
    return TaskAssign(
        task_id=task.id,
        attempt=attempt,
        task_type=task.type,
        submitter_id=task.submitter_id,
        requirements=task.requirements,
        data=task.data,
        timeout_s=task.timeout_s,
    )
