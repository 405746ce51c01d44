"""`rpn top`: the pool as it works, on one screen, until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from rpn.cli.present import console, gib, plain
from rpn.cli.questions import at_pool, place
from rpn.cli.tasks import COLUMNS as TASK_COLUMNS
from rpn.cli.tasks import row as task_row

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

    from rpn.client.api import Api
    from rpn.model import Device, Resources

REFRESH_S = 1.0
TASKS_SHOWN = 10
BAR_WIDTH = 5
FULL, EMPTY = "█", "░"


@click.command(short_help="Watch the pool work.")
@at_pool
def top(server: str | None, token_file: str | None) -> None:
    """Watch the pool work: the busiest devices and the newest tasks, until Ctrl-C.

    \b
    Example:
      rpn top
      rpn top --server desk.local
    """
    if not sys.stdout.isatty():
        raise click.UsageError("`rpn top` draws on a terminal; for programs there is `rpn devices --json`")
    asyncio.run(_watch(*place(server, token_file)))


async def _watch(server: str, token: str) -> None:
    from rich.live import Live

    from rpn.client.api import Api
    from rpn.client.pool import AsyncPool

    async with AsyncPool(server, token=token, observe=True) as pool:
        with closing(Api(server, token=token)) as api, Live(console=console(), screen=True) as live:
            while True:
                tasks = await asyncio.to_thread(_newest, api)
                live.update(
                    screen(str(pool).strip("<>"), list(await pool.devices()), tasks, rows=live.console.height)
                )
                await asyncio.sleep(REFRESH_S)


def _newest(api: Api) -> list[dict[str, Any]] | str:
    """The newest tasks, or in words why they are not known."""
    from rpn.errors import RPNError

    try:
        found: list[dict[str, Any]] = api.get("api", "tasks", limit=TASKS_SHOWN)["tasks"]
    except RPNError as error:
        return str(error)
    return found


def screen(title: str, devices: list[Device], tasks: list[dict[str, Any]] | str, *, rows: int) -> Group:
    """Everything, on so many rows: the devices that do not fit are counted."""
    from rich.console import Group
    from rich.text import Text

    room = max(3, rows - TASKS_SHOWN - 6)
    busiest = sorted(devices, key=lambda device: (-device.resources.cpu_usage, device.name))
    parts: list[RenderableType] = [Text(plain(title), style="bold"), _devices(busiest[:room])]
    if len(busiest) > room:
        parts.append(Text(f"and {len(busiest) - room} less busy ones", style="dim"))
    parts.append(Text())
    names = {device.id: device.name for device in devices}
    parts.append(Text(plain(tasks), style="yellow") if isinstance(tasks, str) else _tasks(tasks, names))
    return Group(*parts)


def _devices(devices: list[Device]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("DEVICE", "PLATFORM", "CPU", "MEMORY", "STORAGE", "GPU", box=None, pad_edge=False)
    for device in devices:
        has = device.resources
        cells = (
            device.name,
            device.platform,
            bar(has.cpu_usage, 100 if has.cpu_cores else 0),
            _amount(has.memory_usage, has.memory_total),
            _amount(has.storage_usage, has.storage_total),
            _gpu(has),
        )
        table.add_row(*(Text(plain(cell), no_wrap=True, overflow="ellipsis") for cell in cells))
    return table


def _tasks(tasks: list[dict[str, Any]], names: dict[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(*TASK_COLUMNS, box=None, pad_edge=False)
    for task in tasks[:TASKS_SHOWN]:
        table.add_row(
            *(Text(plain(cell), no_wrap=True, overflow="ellipsis") for cell in task_row(task, names))
        )
    return table


def bar(used: float, total: float) -> str:
    """`██░░░  30%`; nothing where the total is not known."""
    if not total:
        return "-"
    part = min(1.0, used / total)
    full = round(part * BAR_WIDTH)
    return f"{FULL * full}{EMPTY * (BAR_WIDTH - full)} {part:4.0%}"


def _amount(used_mb: float, total_mb: float) -> str:
    return f"{bar(used_mb, total_mb)} of {gib(total_mb)}" if total_mb else "-"


def _gpu(has: Resources) -> str:
    if not has.has_gpu:
        return "-"
    return bar(has.gpu_usage, 100) if has.gpu_usage is not None else has.gpu_name or "yes"
