"""The `rpn` command: one file a command family, loaded when it is called for."""

from __future__ import annotations

import importlib
import sys

import click

from rpn import __version__
from rpn.errors import RPNError

COMMANDS = {
    "up": "rpn.cli.up",
    "gateway": "rpn.cli.process",
    "scheduler": "rpn.cli.process",
    "agent": "rpn.cli.process",
    "health": "rpn.cli.health",
    "backup": "rpn.cli.backup",
    "restore": "rpn.cli.backup",
}
BAD_START = 2
"""exit status of whatever could not begin: starting it again the same way cannot help"""


class Families(click.Group):
    """Finds a command in its family's file, so that none pays for the imports of the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=Families, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rpn")
def rpn() -> None:
    """Pool the machines you own: see them live, allocate over several, run tasks on the one that fits.

    `rpn up` starts a whole pool on this machine.
    """


def main() -> None:
    """Run the command line; what the operator can mend is told in one line."""
    try:
        rpn()
    except RPNError as error:
        click.echo(f"rpn: {error}", err=True)
        sys.exit(BAD_START)
