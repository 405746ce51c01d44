"""Tells why a request or a task has nothing, device by device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rpn.cli.present import note, plain_lines, table

if TYPE_CHECKING:
    from rpn.client.api import Api

UNITS = {
    "cpu": ("cpu", "cores"),
    "memory": ("memory", "MB of memory"),
    "storage": ("storage", "MB of storage"),
    "gpu": ("gpus", "GPU"),
}
"""by requirement: its name among what is free, and its unit"""
TOO_FEW = "devices"
"""what devices count for that lack nothing themselves: the sentence tells of it"""
CPU_PER_CORE = 100
"""on the wire; people type and read cores"""


def why_not(reason: dict[str, Any] | None) -> None:
    """The sentence, the counts behind it, and what would help; on standard error."""
    if reason is None:
        note("not fulfilled; the pool did not say why")
        return
    note(f"{reason['code']}: {reason['message']}")
    for title, counts in (("never", reason.get("filtered")), ("not now", reason.get("exhausted"))):
        told = ", ".join(f"{count} for {name}" for name, count in (counts or {}).items() if name != TOO_FEW)
        if told:
            note(f"  {title}: {told}")
    nearest = reason.get("nearest")
    if nearest and nearest["missing"]:
        note(f"  nearest: {nearest['deviceName']}, which lacks {_amounts(nearest['missing'])}")
    if reason.get("change"):
        note(f"  would fit now with: {_amounts(reason['change'])}")
    if reason.get("queuePosition") is not None:
        note(f"  before it in the queue: {reason['queuePosition']}")


def _amounts(of: dict[str, int]) -> str:
    return ", ".join(f"{_told(name, amount)} {UNITS[name][1]}" for name, amount in of.items())


def _told(name: str, amount: int) -> str:
    """An amount of the wire, in the unit of the flag."""
    return f"{amount / CPU_PER_CORE:.10g}" if name == "cpu" else str(amount)


def device_by_device(api: Api, needs: dict[str, Any]) -> None:
    """For every device of the pool, what it lacks for a task or a request with these needs."""
    rows = []
    for each in api.get("api", "devices")["devices"]:
        found = api.get("api", "devices", each["id"])
        rows.append((each["name"], each["id"][:8], ", ".join(lacks(found, needs)) or "fits"))
    table(("DEVICE", "ID", "LACKS"), sorted(rows))


def lacks(device: dict[str, Any], needs: dict[str, Any]) -> list[str]:
    """What a device of `/api/devices/ID` lacks now, in words.

    `needs` are the `requirements`, and of a task also its `type` and `command`.
    """
    return [
        *_lacks_terms(device, needs["requirements"]),
        *_lacks_work(device, needs),
        *_lacks_room(device, needs["requirements"]),
    ]


def _lacks_terms(device: dict[str, Any], requirements: dict[str, Any]) -> list[str]:
    labels = requirements.get("labels") or {}
    missing = [f"label {key}={value}" for key, value in labels.items() if device["labels"].get(key) != value]
    if device["device"]["id"] in (requirements.get("exclude") or ()):
        missing.append("it is excluded")
    return missing


def _lacks_work(device: dict[str, Any], needs: dict[str, Any]) -> list[str]:
    """What the device does not run; one that does not tell is taken to run it."""
    if "type" not in needs:
        return []
    if "tasks" not in device["accepts"]:
        return ["it runs no tasks"]
    missing = []
    for name, list_name in (("type", "types"), ("command", "commands")):
        told, wanted = device["capabilities"].get(list_name), needs.get(name)
        if wanted and isinstance(told, list) and wanted not in told:
            missing.append(f"{name} {wanted}")
    return missing


def _lacks_room(device: dict[str, Any], requirements: dict[str, Any]) -> list[str]:
    missing = []
    for name, (free_name, unit) in UNITS.items():
        wanted, free = int(requirements.get(name) or 0), device["load"]["free"][free_name]
        if wanted > free:
            missing.append(f"{_told(name, wanted - free)} {unit} ({_told(name, free)} free)")
    return missing


def outcome(failure: dict[str, Any]) -> None:
    """How a task failed, on standard error."""
    click.echo(plain_lines(f"{failure.get('code', 'FAILED')}: {failure.get('error', '')}"), err=True)
