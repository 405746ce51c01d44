"""Values for tests, with dull defaults: a test names only what matters to it."""

from __future__ import annotations

from itertools import count
from typing import Any

from rpn.messages import TaskAssign
from rpn.model import Requirements

_numbers = count(1)


def assign(command: str = "echo", given: Any = None, *, memory: int = 0, **changed: Any) -> TaskAssign:
    """An assignment of `command` on the input `given`; task and attempt have ids of their own."""
    number = next(_numbers)
    fields = {
        "task_id": f"task-{number}",
        "attempt": f"attempt-{number}",
        "task_type": "compute",
        "submitter_id": "submitter",
        "requirements": Requirements(cpu=10, memory=memory),
        "data": {"command": command, "input": given},
    }
    return TaskAssign(**{**fields, **changed})
