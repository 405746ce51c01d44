"""What an assignment means on this device: which work, on what input, within what limits."""

from __future__ import annotations

import base64
import binascii

import msgspec
from msgspec import Struct

from agent.builtins import BUILTINS, BadInput, nap_s
from agent.config import AgentConfig, Command
from agent.frames import OUTPUT_LIMIT_KIB
from agent.given import Blob, ComputeData, PythonData, Unwanted, WasmData, argv_of, content, read
from agent.kinds import types
from rpn.messages import TaskAssign
from rpn.model import Outcome, TaskResult

MEMORY_FLOOR_MB = 32
"""Less is not enforced: an interpreter takes as much before it does anything."""
OUTPUT = "OUTPUT"
"""The code of a task that wrote more than a result may hold, or not what it promised."""


class Nap(Struct, frozen=True):
    """Do nothing for so long: it needs no process."""

    seconds: float


class Program(Struct, frozen=True):
    """Run a command of the owner's in a process of its own."""

    command: Command
    argv: list[str]
    given: bytes | Blob
    files: dict[str, Blob]
    outputs: list[str]


class Builtin(Struct, frozen=True):
    """Run a built-in in a warm worker."""

    name: str
    given: bytes


class Module(Struct, frozen=True):
    """Run a WASI module in a warm worker."""

    module: Blob
    given: bytes | Blob
    args: list[str]
    memory_mb: float
    deadline_s: float


class Function(Struct, frozen=True):
    """Call a Python function in a warm worker of its submitter's own."""

    submitter_id: str
    pickled: bytes | Blob


Work = Nap | Program | Builtin | Module | Function


class Plan(Struct, frozen=True):
    """How to run an attempt."""

    name: str
    work: Work
    timeout_s: float | None
    memory_limit_mb: float
    storage_limit_mb: float
    process_limit: int
    max_parallel: int | None = None


def plan(assign: TaskAssign, config: AgentConfig) -> Plan | TaskResult:
    """The plan for an assignment, or the result that answers it at once: no, or what echo says."""
    planner = _PLANNERS.get(assign.task_type)
    if planner is None:
        return rejected(f"this device runs no tasks of type {assign.task_type!r}")
    try:
        return planner(assign, config)
    except Unwanted as error:
        return rejected(str(error))


def _compute(assign: TaskAssign, config: AgentConfig) -> Plan | TaskResult:
    data = read(ComputeData, assign.data)
    command = config.commands.get(data.command)
    if command is not None:
        program = Program(
            command,
            argv_of(command, data.args),
            content(data.input, text=command.stdin == "text"),
            data.files,
            data.outputs,
        )
        return _plan(assign, config, data.command, program, command.timeout_s, command.max_parallel)
    if data.command not in BUILTINS:
        raise Unwanted(f"this device has no command {data.command!r}")
    if data.args or data.files or data.outputs:
        raise Unwanted(f"{data.command} takes an input and nothing else")
    return _builtin(assign, config, data)


def _builtin(assign: TaskAssign, config: AgentConfig, data: ComputeData) -> Plan | TaskResult:
    if data.command == "echo":
        return echoed(data.input)
    if data.command == "sleep":
        try:
            return _plan(assign, config, "sleep", Nap(nap_s(data.input)))
        except BadInput as error:
            return failed(Outcome.EXIT, f"sleep: {error}")
    return _plan(assign, config, data.command, Builtin(data.command, msgspec.json.encode(data.input)))


def _wasm(assign: TaskAssign, config: AgentConfig) -> Plan:
    if "wasm" not in types(config):
        raise Unwanted("this device runs no modules")
    data = read(WasmData, assign.data)
    deadline_s = min(assign.timeout_s or config.wasm.timeout_s, config.wasm.timeout_s)
    module = Module(
        data.module,
        content(data.input, text=data.input is None or isinstance(data.input, str)),
        data.args,
        float(assign.requirements.memory) or config.limits.memory,
        deadline_s,
    )
    return _plan(assign, config, "wasm", module, deadline_s)


def _python(assign: TaskAssign, config: AgentConfig) -> Plan | TaskResult:
    if "python" not in types(config):
        raise Unwanted("this device's owner lets no Python functions run")
    if not config.python.admits(assign.submitter_id):
        return refused(f"this device's owner lets no Python functions of {assign.submitter_id!r} run")
    pickled = read(PythonData, assign.data).callable
    if isinstance(pickled, str):
        try:
            pickled_here = base64.b64decode(pickled, validate=True)
        except (binascii.Error, ValueError):
            raise Unwanted("data.callable is no base64") from None
        return _plan(
            assign, config, "python", Function(assign.submitter_id, pickled_here), config.python.timeout_s
        )
    return _plan(assign, config, "python", Function(assign.submitter_id, pickled), config.python.timeout_s)


_PLANNERS = {"compute": _compute, "wasm": _wasm, "python": _python}


def _plan(
    assign: TaskAssign,
    config: AgentConfig,
    name: str,
    work: Work,
    timeout_s: float | None = None,
    max_parallel: int | None = None,
) -> Plan:
    memory_mb = float(assign.requirements.memory) or config.limits.memory
    return Plan(
        name=name,
        work=work,
        timeout_s=min((limit for limit in (assign.timeout_s, timeout_s) if limit), default=None),
        memory_limit_mb=max(memory_mb, MEMORY_FLOOR_MB),
        storage_limit_mb=max(float(assign.requirements.storage), config.limits.storage),
        process_limit=config.limits.processes,
        max_parallel=max_parallel,
    )


def echoed(given: object) -> TaskResult:
    result = TaskResult(success=True, result=given)
    return result if len(msgspec.json.encode(result)) <= OUTPUT_LIMIT_KIB * 1024 else too_much()


def too_much() -> TaskResult:
    return TaskResult(success=False, error=f"the output exceeds {OUTPUT_LIMIT_KIB} KiB", code=OUTPUT)


def rejected(text: str) -> TaskResult:
    return failed(Outcome.REJECTED, text)


def refused(text: str) -> TaskResult:
    """Nothing is wrong with the task: another device may run it."""
    return failed(Outcome.REFUSED, text)


def failed(code: Outcome | str, text: str) -> TaskResult:
    return TaskResult(success=False, error=text[:4096], code=str(code))
