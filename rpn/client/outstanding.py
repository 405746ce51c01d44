"""Tasks of ours that have no outcome yet: which are to be sent now, and which again."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from rpn.messages import Message, TaskCancel, TaskSubmit
from rpn.model import Task

WINDOW = 4000
"""tasks that may be with the pool at a time; the rest wait here, where they cost it nothing"""


class Claim(Protocol):
    """Whoever waits for a task's outcome."""

    task: Task

    def changed(self, state: str) -> None: ...

    def told(self, progress: float | None, log: str | None) -> None: ...

    def settle(self, outcome: object) -> None: ...

    def refuse(self, error: Exception) -> None: ...


class Outstanding:
    """Every open task by id, in the order of submission."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._sent: dict[str, Claim] = {}
        self._waiting: deque[str] = deque()
        self._unsent: dict[str, Claim] = {}
        self._unwanted: set[str] = set()
        """those whose cancel must be said again after a lost connection"""

    def __len__(self) -> int:
        return len(self._sent) + len(self._unsent)

    def get(self, task_id: str) -> Claim | None:
        return self._sent.get(task_id) or self._unsent.get(task_id)

    def claims(self) -> list[Claim]:
        return [*self._sent.values(), *self._unsent.values()]

    def add(self, claim: Claim) -> None:
        self._unsent[claim.task.id] = claim
        self._waiting.append(claim.task.id)

    def due(self) -> list[Message]:
        """What may be sent now for the first time."""
        messages: list[Message] = []
        while self._waiting and len(self._sent) < self._window:
            claim = self._unsent.pop(self._waiting.popleft(), None)
            if claim is not None:
                self._sent[claim.task.id] = claim
                messages.append(submit(claim))
        return messages

    def again(self) -> list[Message]:
        """All that a lost connection may have lost: the ids make it safe to say it twice."""
        messages: list[Message] = [submit(claim) for claim in self._sent.values()]
        return messages + [TaskCancel(task_id=task_id) for task_id in self._unwanted]

    def cancel(self, task_id: str) -> Message | None:
        """What to send so that the task ends; None if the pool has not heard of it."""
        if task_id not in self._sent:
            self._unsent.pop(task_id, None)
            return None
        self._unwanted.add(task_id)
        return TaskCancel(task_id=task_id)

    def ended(self, task_id: str) -> Claim | None:
        """It has its outcome; whoever waits for it."""
        self._unwanted.discard(task_id)
        return self._sent.pop(task_id, None)


def submit(claim: Claim) -> TaskSubmit:
    """The task's message; its `requestId` is the task's id, so that a refusal finds its task."""
    return TaskSubmit(task=claim.task, request_id=claim.task.id)
