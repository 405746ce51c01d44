"""Values for tests, with dull defaults: a test names only what matters to it."""

from __future__ import annotations

from itertools import count
from typing import Any

from rpn.messages import Heartbeat, Register, ResourceUpdate, TaskAssign
from rpn.model import Requirements, Resources

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


def register(device_id: str = "a", **more: Any) -> Register:
    """A device joins; a plain client unless `more` opts in."""
    fields = {"device_id": device_id, "device_name": device_id.upper(), "platform": "linux"}
    return Register(**{**fields, **more})


def heartbeat(device_id: str = "a") -> Heartbeat:
    return Heartbeat(device_id=device_id)


def resources(**changed: Any) -> Resources:
    """What an idle device of eight cores reports."""
    fields: dict[str, Any] = {
        "cpu_usage": 0,
        "cpu_available": 100,
        "cpu_cores": 8,
        "memory_usage": 0,
        "memory_available": 16384,
        "memory_total": 16384,
        "storage_usage": 0,
        "storage_available": 1000,
        "storage_total": 1000,
        "has_gpu": False,
    }
    return Resources(**{**fields, **changed})


def update(device_id: str = "a", **changed: Any) -> ResourceUpdate:
    """A measurement; `changed` names the resources that matter."""
    return ResourceUpdate(device_id=device_id, resources=resources(**changed))
