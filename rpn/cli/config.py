"""`rpn config`: the settings in effect, where each comes from, and whether they are any good."""

from __future__ import annotations

import os
from typing import Any

import click
import msgspec

from rpn.cli.present import as_json, table
from rpn.cli.questions import answers_json
from rpn.errors import BadSettings
from rpn.settings import SERVICES, Settings, load, variable

SECRETS = ("redis_url", "token", "password")
"""parts of a field's name whose value is never shown"""


@click.group(short_help="Show or check the settings.")
def config() -> None:
    """Show the settings that RPN_... variables and defaults make, or check them.

    \b
    Example:
      rpn config show
      RPN_PORT=70000 rpn config check
    """


@config.command(short_help="Show every setting, its value and its source.")
@answers_json
@click.option("--all", "everything", is_flag=True, help="those with their default value as well")
def show(json_wanted: bool, everything: bool) -> None:
    """Show the settings that differ from their default; secrets are never shown.

    \b
    Example:
      rpn config show --all
    """
    found = [each for each in _settings() if everything or json_wanted or each["source"] != "default"]
    if json_wanted:
        as_json({"settings": found})
    elif found:
        table(
            ("SETTING", "VALUE", "SOURCE", "FOR"),
            [(each["name"], str(each["value"]), each["source"], ", ".join(each["for"])) for each in found],
        )
    else:
        click.echo("every setting has its default value; `rpn config show --all` lists them")


@config.command(short_help="Check every setting; exit 2 if one is bad.")
def check() -> None:
    """Check every setting, and name those that no program reads.

    \b
    Example:
      rpn config check
    """
    for kind in SERVICES:
        load(kind, os.environ)
    unknown = sorted(_unknown())
    if unknown:
        raise BadSettings(f"no setting is called {', '.join(unknown)}; docs/settings.md lists them all")
    click.echo("the settings are good")


def _settings() -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for kind in SERVICES:
        values = load(kind, os.environ)
        for field in msgspec.structs.fields(kind):
            row = rows.setdefault(field.name, _row(field.name, getattr(values, field.name)))
            row["for"].append(_service(kind))
    return sorted(rows.values(), key=lambda each: str(each["name"]))


def _row(name: str, value: Any) -> dict[str, Any]:
    source = next(
        (each for each in (variable(name), variable(name) + "_FILE") if os.environ.get(each)), "default"
    )
    secret = any(part in name for part in SECRETS) and source != "default"
    return {"name": variable(name), "value": "(not shown)" if secret else value, "source": source, "for": []}


def _service(kind: type[Settings]) -> str:
    return kind.__name__.removesuffix("Settings").lower()


def _unknown() -> set[str]:
    known = {variable(field.name) for kind in SERVICES for field in msgspec.structs.fields(kind)}
    known |= {f"{name}_FILE" for name in known} | {"RPN_TOKEN", "RPN_TOKEN_FILE"}
    return {name for name in os.environ if name.startswith("RPN_")} - known
