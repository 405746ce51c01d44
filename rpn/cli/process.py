"""`rpn gateway`, `rpn scheduler`: become one process of a pool."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from rpn.cli.flags import flags_for, with_flags
from rpn.cli.server_extra import require_server_extra
from rpn.settings import GatewaySettings, SchedulerSettings, Settings, load


@click.command(short_help="Start a gateway.")
@flags_for(GatewaySettings)
def gateway(**flags: Any) -> None:
    """Start a gateway: it holds the sockets of devices and clients.

    \b
    Example:
      rpn gateway --port 3001 --redis-url redis://10.0.0.5:6379/0
    """
    require_server_extra()
    become("gateway", GatewaySettings, flags)


@click.command(short_help="Start a scheduler.")
@flags_for(SchedulerSettings)
def scheduler(**flags: Any) -> None:
    """Start a scheduler: it decides where requests and tasks go. Of several, one leads.

    \b
    Example:
      rpn scheduler --redis-url redis://10.0.0.5:6379/0
    """
    require_server_extra()
    become("scheduler", SchedulerSettings, flags)


def module_command(module: str) -> list[str]:
    """What runs one of our modules, even where the working directory has a folder of that name."""
    return [sys.executable, "-P", "-m", module]


def become(module: str, kind: type[Settings], flags: dict[str, Any]) -> NoReturn:
    """Be `module` from here on, with these settings. Raises BadSettings."""
    environ = with_flags(os.environ, flags)
    load(kind, environ)  # a bad setting is told before anything starts
    command = module_command(module)
    os.execve(command[0], command, environ)  # noqa: S606 - no shell
