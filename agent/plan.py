"""What an assignment means on this device: which program, on what input, within what limits."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from agent.builtins import BUILTINS
from agent.config import AgentConfig, Command
from rpn.messages import TaskAssign
from rpn.model import Outcome, TaskResult

MEMORY_FLOOR_MB = 32
"""Less is not enforced: an interpreter takes as much before it does anything."""


class Plan(Struct, frozen=True):
    """How to run an attempt; `command` None means the built-in of that name."""

    name: str
    command: Command | None
    input: bytes
    timeout_s: float | None
    memory_limit_mb: float
    storage_limit_mb: float
    process_limit: int
    max_parallel: int | None


def plan(assign: TaskAssign, config: AgentConfig) -> Plan | TaskResult:
    """The plan for an assignment, or the REJECTED result that answers it."""
    if assign.task_type != "compute":
        return rejected(f"this device runs no tasks of type {assign.task_type!r}")
    name = assign.data.get("command")
    if not isinstance(name, str):
        return rejected("data.command must be the name of a command")
    command = config.commands.get(name)
    if command is None and name not in BUILTINS:
        return rejected(f"this device has no command {name!r}")
    memory_mb = float(assign.requirements.memory) or config.limits.memory
    limits_s = [limit for limit in (assign.timeout_s, command and command.timeout_s) if limit]
    return Plan(
        name=name,
        command=command,
        input=msgspec.json.encode(assign.data.get("input")),
        timeout_s=min(limits_s, default=None),
        memory_limit_mb=max(memory_mb, MEMORY_FLOOR_MB),
        storage_limit_mb=max(float(assign.requirements.storage), config.limits.storage),
        process_limit=config.limits.processes,
        max_parallel=command.max_parallel if command else None,
    )


def rejected(text: str) -> TaskResult:
    return failed(Outcome.REJECTED, text)


def failed(code: Outcome, text: str) -> TaskResult:
    return TaskResult(success=False, error=text[:4096], code=code.value)
