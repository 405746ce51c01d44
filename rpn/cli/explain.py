"""Tells why a request or a task has nothing, device by device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rpn.cli.present import note, plain, table

if TYPE_CHECKING:
    from rpn.client.api import Api

UNITS = {"cpu": "core-percent", "memory": "MB of memory", "storage": "MB of storage", "gpu": "GPU"}


def why_not(reason: dict[str, Any] | None) -> None:
    """The sentence, the counts behind it, and what would help; on standard error."""
    if reason is None:
        note("not fulfilled; the pool did not say why")
        return
    note(f"{reason['code']}: {reason['message']}")
    for title, counts in (("never", reason.get("filtered")), ("not now", reason.get("exhausted"))):
        if counts:
            told = ", ".join(f"{count} for {name}" for name, count in counts.items())
            note(f"  {title}: {told}")
    nearest = reason.get("nearest")
    if nearest:
        lacks = ", ".join(f"{amount} {UNITS.get(name, name)}" for name, amount in nearest["missing"].items())
        note(f"  nearest: {nearest['deviceName']}, which lacks {lacks}")
    if reason.get("change"):
        lower = ", ".join(f"{name} {amount}" for name, amount in reason["change"].items())
        note(f"  would fit now with: {lower}")
    if reason.get("queuePosition") is not None:
        note(f"  before it in the queue: {reason['queuePosition']}")


def device_by_device(api: Api, requirements: dict[str, Any]) -> None:
    """For every device of the pool, what it lacks for these requirements."""
    rows = []
    for each in api.get("api", "devices")["devices"]:
        found = api.get("api", "devices", each["id"])
        rows.append((each["name"], each["id"][:8], lacks(found, requirements) or "fits"))
    table(("DEVICE", "ID", "LACKS"), sorted(rows))


def lacks(device: dict[str, Any], requirements: dict[str, Any]) -> str:
    """What a device of `/api/devices/ID` lacks now, in words; empty if it has everything."""
    free = device.get("free") or {}
    missing = []
    for name, unit in UNITS.items():
        wanted, has = int(requirements.get(name) or 0), int(free.get(name) or 0)
        if wanted > has:
            missing.append(f"{wanted - has} {unit} ({has} free)")
    labels = device.get("labels") or {}
    for key, value in (requirements.get("labels") or {}).items():
        if labels.get(key) != value:
            missing.append(f"label {key}={value}")
    if device["id"] in (requirements.get("exclude") or ()):
        missing.append("it is excluded")
    return ", ".join(missing)


def outcome(failure: dict[str, Any]) -> None:
    """How a task failed, on standard error."""
    click.echo(plain(f"{failure.get('code', 'FAILED')}: {failure.get('error', '')}"), err=True)
