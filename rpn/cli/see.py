"""`rpn devices`, `rpn device`: who is in the pool, and what each has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from rpn.cli.present import amounts, as_json, console, facts, gib, table
from rpn.cli.questions import answers_json, asks_pool, at_pool, device_id, place

if TYPE_CHECKING:
    from rich.table import Table

    from rpn.client.api import Api

COLUMNS = ("NAME", "ID", "PLATFORM", "CPU", "MEMORY", "STORAGE", "GPU")
REFRESH_S = 0.5


@click.command(short_help="List the devices of the pool.")
@at_pool
@answers_json
@click.option("--watch", "-w", is_flag=True, help="keep the list on the screen, live, until Ctrl-C")
def devices(server: str | None, token_file: str | None, json_wanted: bool, watch: bool) -> None:
    """List the devices of the pool, with what is free on each.

    \b
    Example:
      rpn devices
      rpn devices --json | jq '.devices[].name'
      rpn devices --watch
    """
    if watch:
        asyncio.run(_watch(*place(server, token_file)))
        return
    _list(*place(server, token_file), json_wanted=json_wanted)


def _list(server: str, token: str, *, json_wanted: bool) -> None:
    from contextlib import closing

    from rpn.client.api import Api

    with closing(Api(server, token=token)) as api:
        answer = api.get("api", "devices")
    if json_wanted:
        as_json(answer)
    else:
        table(COLUMNS, [row(each) for each in sorted(answer["devices"], key=lambda each: each["name"])])


async def _watch(server: str, token: str) -> None:
    """Redraw the list while the pool changes, at most twice a second."""
    import msgspec
    from rich.live import Live

    from rpn.client.pool import AsyncPool

    async with AsyncPool(server, token=token, observe=True) as pool:
        with Live(console=console(), auto_refresh=False, screen=False) as live:
            while True:
                found = sorted(await pool.devices(), key=lambda device: device.name)
                live.update(_drawn([row(msgspec.to_builtins(device)) for device in found]), refresh=True)
                await asyncio.sleep(REFRESH_S)


def _drawn(rows: list[tuple[str, ...]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for each in rows:
        drawn.add_row(*(Text(cell, overflow="ellipsis", no_wrap=True) for cell in each))
    return drawn


def row(device: dict[str, Any]) -> tuple[str, ...]:
    """One device of `/api/devices` in words: what is free of what it has."""
    has = device["resources"]
    cores = has["cpuCores"]
    return (
        device["name"],
        device["id"][:8],
        device["platform"],
        f"{has['cpuAvailable'] * cores / 100:.1f}/{cores:g}" if cores else "-",
        _free(has, "memory"),
        _free(has, "storage"),
        (has["gpuName"] or "yes") if has["hasGPU"] else "-",
    )


def _free(has: dict[str, Any], what: str) -> str:
    total = has[f"{what}Total"]
    return f"{gib(has[f'{what}Available'])}/{gib(total)}" if total else "-"


@click.command(short_help="Show one device.")
@click.argument("name")
@answers_json
@asks_pool
def device(api: Api, name: str, json_wanted: bool) -> None:
    """Show one device: what it has, what is free, what it says about itself, what runs there.

    NAME is its name or its id, or the beginning of either.

    \b
    Example:
      rpn device desk
    """
    found = api.get("api", "devices", device_id(api, name))
    if json_wanted:
        as_json(found)
        return
    itself, load = found["device"], found["load"]
    full_name, _, platform, cpu, memory, storage, gpu = row(itself)
    facts(
        [
            ("name", full_name),
            ("id", itself["id"]),
            ("platform", platform),
            ("address", itself["ipAddress"]),
            ("last seen", itself["lastSeen"]),
            ("cores idle", cpu),
            ("memory idle", memory),
            ("storage idle", storage),
            ("GPU", gpu),
            ("given away", amounts(load["allocated"])),
            ("to be had", amounts(load["free"])),
            *((f"label {key}", value) for key, value in sorted(found["labels"].items())),
            *((key, _told(value)) for key, value in sorted(found["capabilities"].items())),
            *(("runs", f"{each['taskId']} of {each['submitterId']}") for each in load["tasks"]),
        ]
    )


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(each)}" for key, each in value.items() if each not in ([], None))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(map(_told, value)) or "none") if isinstance(value, list) else str(value)
