"""A list of devices that shows itself as a table: in a notebook, and where rich prints it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rpn.model import Device

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("name", "platform", "CPU", "memory", "storage", "GPU")


class DeviceList(list[Device]):
    """What `devices()` gives: a list like any other."""

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{column}</th>" for column in COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row(device)) + "</tr>" for device in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(*COLUMNS, box=None, pad_edge=False)
        for device in self:
            table.add_row(*(Text(cell) for cell in row(device)))
        return table


def row(device: Device) -> tuple[str, ...]:
    """One device in words: what it has, and how much of it is free."""
    has = device.resources
    gpu = (has.gpu_name or "yes") if has.has_gpu else "-"
    return (
        device.name,
        device.platform,
        f"{has.cpu_cores:g} cores, {has.cpu_available:.0f} % free" if has.cpu_cores else "-",
        _of(has.memory_available, has.memory_total),
        _of(has.storage_available, has.storage_total),
        gpu,
    )


def _of(available_mb: float, total_mb: float) -> str:
    return f"{available_mb / 1024:.1f} of {total_mb / 1024:.1f} GiB free" if total_mb else "-"
