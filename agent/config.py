"""What the owner of a device lets the pool run: agent.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from rpn.errors import BadSettings
from rpn.model import Name, Seconds

FILE_NAME = "agent.toml"


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """A program the owner registered under a name; tasks name it and never bring their own."""

    argv: Annotated[list[Annotated[str, Meta(pattern=r"^[^\x00]+\Z")]], Meta(min_length=1, max_length=1000)]
    timeout_s: Seconds | None = field(default=None, name="timeout")
    """longest run, seconds; a task may ask for less"""
    max_parallel: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True):
    commands: dict[Name, Command] = {}


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
        return msgspec.convert(tomllib.loads(text), AgentConfig)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{source}: {error}") from None
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise BadSettings(f"{source}: {where.strip('.`') or 'top level'}: {what}") from None
