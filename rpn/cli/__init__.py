"""The `rpn` command: one file a command family, loaded when it is called for."""

from __future__ import annotations

import importlib
import sys

import click

from rpn import __version__
from rpn.errors import (
    BackupFailed,
    BadRequirements,
    BadSettings,
    NoAgent,
    RPNError,
    ServerFailed,
    StoreFormatError,
)

CANNOT_BEGIN = (BackupFailed, BadRequirements, BadSettings, NoAgent, ServerFailed, StoreFormatError)

COMMANDS = {
    "up": "rpn.cli.up",
    "gateway": "rpn.cli.process",
    "scheduler": "rpn.cli.process",
    "agent": "rpn.cli.agent",
    "devices": "rpn.cli.see",
    "device": "rpn.cli.see",
    "request": "rpn.cli.reserve",
    "allocations": "rpn.cli.reserve",
    "release": "rpn.cli.reserve",
    "submit": "rpn.cli.work",
    "run": "rpn.cli.work",
    "tasks": "rpn.cli.tasks",
    "logs": "rpn.cli.tasks",
    "cancel": "rpn.cli.tasks",
    "why": "rpn.cli.tasks",
    "top": "rpn.cli.top",
    "token": "rpn.cli.token",
    "audit": "rpn.cli.token",
    "doctor": "rpn.cli.doctor",
    "health": "rpn.cli.health",
    "config": "rpn.cli.config",
    "completion": "rpn.cli.completion",
    "backup": "rpn.cli.backup",
    "restore": "rpn.cli.backup",
}
BAD_START = 2
"""exit status of whatever could not begin: starting it again the same way cannot help"""
UNREACHABLE, REFUSED, INTERRUPTED = 3, 4, 130
"""exit statuses: no gateway answers; the pool says no; Ctrl-C"""
NEXT = {
    "NO_AGENT": "start one with `rpn agent` or `rpn up`, or name its folder: --data-dir, or RPN_DATA_DIR",
    "UNREACHABLE": "start a pool here with `rpn up`, or name one: --server HOST:PORT, or RPN_SERVER",
    "STORE_UNAVAILABLE": "the pool's Redis or Valkey is away; try again in a moment",
    "RATE_LIMITED": "wait a minute, or raise RPN_REST_RATE_LIMIT at the gateway",
    "UNAUTHORIZED": "put a token into a file and name it: --token-file FILE, or RPN_TOKEN_FILE",
    "QUEUE_FULL": "wait until some tasks are done, or raise RPN_OPEN_TASK_LIMIT at the gateway",
}
"""what to try next, by the code of the error"""


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
    """Run the command line; what the operator can mend is told in one line, with the next thing to try."""
    try:
        rpn(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except RPNError as error:
        click.echo(f"rpn: {error}", err=True)
        if error.code in NEXT:
            click.echo(f"     {NEXT[error.code]}", err=True)
        sys.exit(_status(error))


def _status(error: RPNError) -> int:
    if error.code == "UNREACHABLE":
        return UNREACHABLE
    return BAD_START if isinstance(error, CANNOT_BEGIN) else REFUSED
