"""`rpn agent install` and `uninstall`: let the platform start the agent, and start it again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from rpn.cli import services
from rpn.cli.flags import SECRETS, flag_name, flags_for, with_flags
from rpn.cli.process import module_command
from rpn.errors import BadSettings, ServerFailed
from rpn.settings import AgentSettings, load, variable

for_all = click.option("--system", is_flag=True, help="for the whole machine, as root; else for you")
only_show = click.option("--dry-run", is_flag=True, help="only show what would be done")


@click.command()
@for_all
@only_show
@flags_for(AgentSettings)
def install(system: bool, dry_run: bool, **flags: Any) -> None:
    """Start the agent now and whenever the machine does, by systemd, launchd or as a Windows task.

    The settings given here, or set in the environment now, are the ones it gets.

    \b
    Example:
      rpn agent install --server desk.local:3000
      rpn agent install --system --dry-run
    """
    service = _service(system, flags)
    if dry_run:
        _show(service, service.begin)
        return
    if service.path is not None:
        service.path.parent.mkdir(parents=True, exist_ok=True)
        service.path.write_text(service.text, encoding="utf-8")
    _run(service.begin)
    click.echo(f"installed as {service.name}; `rpn agent status` tells how it is")


@click.command()
@for_all
@only_show
def uninstall(system: bool, dry_run: bool) -> None:
    """End the agent that `rpn agent install` set up, and let nothing start it again. Its data stay.

    \b
    Example:
      rpn agent uninstall
    """
    service = _service(system, {})
    if service.path is not None and not service.path.exists():
        raise ServerFailed(f"nothing is installed: there is no {service.path}")
    if dry_run:
        _show_commands(service.end)
        if service.path is not None:
            click.echo(f"{service.path} would be removed")
        return
    _run(service.end)
    if service.path is not None:
        service.path.unlink()
    click.echo(f"{service.name} is gone")


def _service(system: bool, flags: dict[str, Any]) -> services.Service:
    environ = with_flags(os.environ, flags)
    settings = load(AgentSettings, environ)  # a bad setting is told before anything is done
    told = {name: str(value) for name, value in flags.items() if value is not None}
    default = AgentSettings()
    for name in set(AgentSettings.__struct_fields__) - SECRETS:
        value = getattr(settings, name)
        if name not in told and value != getattr(default, name) and variable(name) in os.environ:
            told[name] = str(value)
    if environ.get("RPN_TOKEN_FILE"):
        told["token_file"] = environ["RPN_TOKEN_FILE"]
    elif settings.token:
        raise BadSettings("RPN_TOKEN: a service reads it from a file: set RPN_TOKEN_FILE")
    if system and "data_dir" not in told:
        told["data_dir"] = services.SYSTEM_DATA_DIR
    return services.service(sys.platform, _command(told), system=system, home=Path.home())


def _command(told: dict[str, str]) -> list[str]:
    flags = [f"--{flag_name(name)}={_whole(name, value)}" for name, value in sorted(told.items())]
    return [*module_command("rpn.cli"), "agent", *flags]


def _whole(name: str, value: str) -> str:
    """A service has another working directory, so a path is told in full."""
    is_path = name in ("data_dir", "agent_config", "token_file") and value
    return os.path.abspath(os.path.expanduser(value)) if is_path else value


def _show(service: services.Service, commands: list[list[str]]) -> None:
    if service.path is not None:
        click.echo(f"{service.path}:\n\n{service.text}")
    _show_commands(commands)


def _show_commands(commands: list[list[str]]) -> None:
    for command in commands:
        click.echo("$ " + shlex.join(command))


def _run(commands: list[list[str]]) -> None:
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        except OSError as error:
            raise ServerFailed(f"cannot run {command[0]}: {error.strerror}") from None
        if done.returncode:
            raise ServerFailed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
