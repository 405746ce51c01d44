"""What `rpn agent status` and its like say, in words; and policies as they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

LISTS = ("hours", "submitters", "commands")


def standing(found: dict[str, Any]) -> str:
    """One line: whether the pool may use this device."""
    return "open to the pool" if found["open"] else "withheld: " + "; ".join(found["reasons"])


def status(found: dict[str, Any]) -> str:
    """How an agent is, a line for each thing."""
    rows = {
        "device": f"{found['device']['name']} ({found['device']['id']})",
        "gateway": "connected" if found["online"] else "not connected",
        "pool": standing(found),
        "tasks": f"{found['running']} running",
        "jail": found["jail"],
    }
    if found["pool_usage"]:
        usage = found["pool_usage"]
        rows["tasks"] += f", {usage['cpu'] / 100:.10g} cores, {usage['memory']} MB"
    if found["paused_until"]:
        rows["paused until"] = f"{datetime.fromtimestamp(found['paused_until']).astimezone():%Y-%m-%d %H:%M}"
    if found["battery"]:
        rows["battery"] = _battery(found["battery"])
    return _table(rows)


def policy(found: dict[str, Any]) -> str:
    """The policy in effect, and where it comes from."""
    said = found["policy"] or {"everything": "as it is by default"}
    rows = {name: _shown(value) for name, value in said.items()}
    return _table({"from": found["policy_from"], "now": standing(found), **rows})


def as_json(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False)


def changes(typed: Iterable[str]) -> dict[str, Any]:
    """`["cpu=50", "hours=sat", "hours=sun"]` as `{"cpu": 50, "hours": ["sat", "sun"]}`; empty is null."""
    found: dict[str, Any] = {}
    for each in typed:
        name, equals, text = each.partition("=")
        if not equals:
            raise click.UsageError(f"{each!r} is no change: write NAME=VALUE")
        if name in LISTS and text:
            found[name] = [*found.get(name, []), text]
        else:
            found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    if not text:
        return None
    if text in ("yes", "no"):
        return text == "yes"
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _battery(found: dict[str, Any]) -> str:
    charge = f"{found['charge']:g} %" if "charge" in found else "unknown charge"
    return f"{charge}, on mains" if found.get("onMains") else charge


def _table(rows: dict[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows.items())
