"""What the owner of a device lets the pool run: agent.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from agent.policy import Policy
from agent.programs import of_program
from rpn.errors import BadSettings
from rpn.model import LARGEST, Name, Seconds

FILE_NAME = "agent.toml"
Path_ = Annotated[str, Meta(pattern=r"^/[^\x00]*\Z")]
"""an absolute path"""


ArgName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]
Pattern = Annotated[str, Meta(min_length=1, max_length=1000)]


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """A program the owner registered under a name; tasks name it and never bring their own."""

    argv: Annotated[list[Annotated[str, Meta(pattern=r"^[^\x00]+\Z")]], Meta(min_length=1, max_length=1000)]
    timeout_s: Seconds | None = field(default=None, name="timeout")
    """longest run, seconds; a task may ask for less"""
    max_parallel: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    reads: list[Path_] = []
    """what it may read beside the system's folders and its own program"""
    writes: list[Path_] = []
    """what it may change beside its task's own folder"""
    network: bool = False
    stdin: Literal["json", "text"] = "json"
    """how it gets a task's input: as JSON, or the input must be a text and comes as it is"""
    stdout: Literal["auto", "json", "text"] = "auto"
    """what it answers; `auto`: JSON if it is, else text"""
    args: dict[ArgName, Pattern] = {}
    """what a task may say in `argv`, where `{name}` stands, and the pattern that all of it must match"""

    def __post_init__(self) -> None:
        for name in self.args:
            if not any(f"{{{name}}}" in part for part in self.argv[1:]):
                raise ValueError(f"argv has no {{{name}}} after the program, which args names")
        for pattern in self.args.values():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"args: {pattern!r} is no pattern: {error}") from None

    @property
    def places(self) -> list[str]:
        """All that it must be able to read, its program among them."""
        return [*self.reads, *self.writes, *of_program(self.argv)]


class TaskLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """What a task may take that does not say how much it needs."""

    memory: Annotated[float, Meta(ge=32, le=LARGEST)] = 1024
    """MB"""
    storage: Annotated[float, Meta(ge=1, le=LARGEST)] = 1024
    """MB of files in its folder; also the least of a task that does say"""
    processes: Annotated[int, Meta(ge=1, le=100_000)] = 256


class Wasm(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether tasks may bring WASI modules, and how long one may run."""

    allow: bool = True
    timeout_s: Seconds = field(default=300.0, name="timeout")
    """longest run, seconds; a task may ask for less"""


class Python(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether tasks may bring Python functions: they can do what a registered program can."""

    allow: bool = False
    submitters: list[Name] = []
    """ids of those who may send them; `*` is everybody"""
    timeout_s: Seconds | None = field(default=None, name="timeout")
    """longest run, seconds; a task may ask for less"""
    reads: list[Path_] = []
    """what they may read beside the system's folders and this interpreter's"""
    writes: list[Path_] = []
    network: bool = False

    def admits(self, submitter_id: str) -> bool:
        return self.allow and (submitter_id in self.submitters or "*" in self.submitters)


class AgentConfig(Struct, frozen=True):
    commands: dict[str, Command] = {}
    limits: TaskLimits = TaskLimits()
    policy: Policy = Policy()
    wasm: Wasm = Wasm()
    python: Python = Python()

    def with_python_for_all(self) -> AgentConfig:
        """The same, but anybody may have Python functions run."""
        return replace(self, python=replace(self.python, allow=True, submitters=["*"]))


def load_config(path: Path, *, required: bool = False) -> AgentConfig:
    """Read agent.toml; a file that is not there registers nothing, unless it is `required`.

    Raises BadSettings, naming the file and the place in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if required:
            raise BadSettings(f"RPN_AGENT_CONFIG: there is no {path}") from None
        return AgentConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from None
    return parse_config(text, source=str(path))


def parse_config(text: str, *, source: str) -> AgentConfig:
    """The content of an agent.toml; `source` is the name that errors carry."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{source}: {error}") from None
    file = _read(_File, content, source, "")
    for name in file.commands:
        _read(Name, name, source, "commands: a name")
    return AgentConfig(
        {name: _read(Command, table, source, f"commands.{name}") for name, table in file.commands.items()},
        _read(TaskLimits, file.limits, source, "limits"),
        _read(Policy, file.policy, source, "policy"),
        _read(Wasm, file.wasm, source, "wasm"),
        _read(Python, file.python, source, "python"),
    )


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    commands: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    wasm: dict[str, Any] = {}
    python: dict[str, Any] = {}


def _read(kind: Any, content: Any, source: str, place: str) -> Any:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        place = (place + where.rstrip("`")).lstrip(".")
        raise BadSettings(f"{source}: {place + ': ' if place else ''}{what}") from None
