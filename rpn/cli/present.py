"""Shows what a pool answered: a table for people, JSON for programs, nothing that a terminal would obey."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 100_000
"""columns of a line that nobody looks at: a program wants it whole"""


def as_json(answer: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(answer, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their columns; what does not fit the terminal is cut with an ellipsis."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for number, column in enumerate(columns):
        shown.add_column(column, no_wrap=True, overflow="ellipsis", min_width=4 if number else 8)
    for row in rows:
        shown.add_row(*(Text(plain(cell)) for cell in row))
    console().print(shown)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values below each other; a value without anything is left out."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        if value:
            click.echo(click.style(f"{name:<{width}}", bold=True) + "  " + plain(value))


def console() -> Console:
    """Standard output; rich minds NO_COLOR, TERM and pipes by itself, but for the width of a pipe."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def note(text: str) -> None:
    """Something for people beside the answer, on standard error."""
    click.echo(plain(text), err=True)


def plain(text: str) -> str:
    """`text` without what would move the cursor or turn the writing round."""
    return "".join(
        char if char.isprintable() and not _turns(char) else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def plain_lines(text: str) -> str:
    """Text of several lines without anything a terminal would obey."""
    return "".join(char if char in "\n\t" else plain(char) for char in text)


def _turns(char: str) -> bool:
    return "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069"


def gib(mb: float) -> str:
    """An amount of MB as people read it."""
    return f"{mb / 1024:.1f}G" if mb >= 1024 else f"{mb:.0f}M"


def amounts(sums: dict[str, Any]) -> str:
    """A sum of a device or the pool, as people read it."""
    told = f"{sums['cpu'] / 100:g} cores, {gib(sums['memory'])} memory, {gib(sums['storage'])} storage"
    return f"{told}, {sums['gpus']} GPU" if sums["gpus"] else told
