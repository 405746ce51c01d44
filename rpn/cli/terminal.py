"""What `rpn up` shows: what goes on, what to open, and what to type next."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import click

NAME_WIDTH = 12


class Terminal:
    """Plain text, with colour where a person reads it and has not asked otherwise (NO_COLOR)."""

    def __init__(self, *, json_lines: bool = False) -> None:
        self._json_lines = json_lines
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._color = False if plain else None  # None: click asks whether it is a terminal

    def say(self, text: str) -> None:
        """Tell what the supervisor does or sees."""
        self._print(click.style(f"{'rpn up':<{NAME_WIDTH}}", bold=True) + text, err=True)

    def child(self, name: str, line: str) -> None:
        """Show a line that a child wrote; one that is for programs stays as it is."""
        if self._json_lines and line.startswith("{"):
            self._print(line, err=True)
        else:
            self._print(click.style(f"{name:<{NAME_WIDTH}}", fg="yellow") + line, err=True)

    def tail(self, name: str, lines: Sequence[str]) -> None:
        """Show what a child said before it was given up."""
        self._print(f"\nThe last lines of {name}:", err=True)
        for line in lines:
            self._print(f"  {line}", err=True)

    def welcome(self, version: str, rows: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Say what to open and what to type: a heading a row, and lines beside it."""
        width = max(len(heading) for heading, _ in rows) + 3
        self._print("\n" + click.style(f"Resource Pooling Network {version}", bold=True) + " is running\n")
        for heading, lines in rows:
            for number, line in enumerate(lines):
                label = heading if number == 0 else ""
                self._print("  " + click.style(f"{label:<{width}}", fg="cyan") + line)
        self._print("\nCtrl-C ends it.\n")

    def _print(self, text: str, *, err: bool = False) -> None:
        with contextlib.suppress(OSError):  # nobody reads: the pool goes on
            click.echo(text, err=err, color=self._color)
            (sys.stderr if err else sys.stdout).flush()
