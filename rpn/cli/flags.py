"""Turns a service's settings into the command line's flags, and flags into its environment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import click
import msgspec

from rpn.settings import Settings, variable

SHORT_NAMES = {"device_name": "name", "agent_config": "config"}
"""fields whose flag is not called like them"""

SECRETS = frozenset({"token", "join_token", "seed_tokens"})
"""fields whose flag names a file, because everybody on a machine sees a command line"""

Command = Callable[..., Any]


def flags_for(kind: type[Settings], *, besides: Collection[str] = ()) -> Callable[[Command], Command]:
    """A flag for every setting of `kind`, `besides` excepted; one that is not given is None."""

    def decorate(command: Command) -> Command:
        for field in reversed(msgspec.structs.fields(kind)):
            if field.name not in besides:
                command = _flag(field)(command)
        return command

    return decorate


def flag_name(field_name: str) -> str:
    """The flag of a field, without its dashes."""
    return SHORT_NAMES.get(field_name, field_name).replace("_", "-")


def _flag(field: msgspec.structs.FieldInfo) -> Callable[[Command], Command]:
    if field.name in SECRETS:
        name = f"{field.name}_file"
        return click.option(f"--{flag_name(name)}", name, metavar="FILE", help=variable(name))
    return click.option(f"--{flag_name(field.name)}", field.name, metavar="VALUE", help=_help(field))


def _help(field: msgspec.structs.FieldInfo) -> str:
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return variable(field.name) + (f" ({default})" if default != "" else "")


def with_flags(environ: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, str]:
    """`environ` as a process reads it when these settings were given: a flag beats all else."""
    told = {variable(name): str(value) for name, value in flags.items() if value is not None}
    beaten = {f"{name}_FILE" for name in told}
    return {name: value for name, value in environ.items() if name not in beaten} | told
