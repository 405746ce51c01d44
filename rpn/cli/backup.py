"""`rpn backup`, `rpn restore`: a pool's data into a file, and back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from rpn.cli.flags import with_flags
from rpn.cli.process import module_command
from rpn.cli.server_extra import require_server_extra
from rpn.errors import BadSettings
from rpn.settings import StoreSettings, UpSettings, load

Command = Callable[..., Any]


def _where(command: Command) -> Command:
    """Which pool, on which server."""
    for name, text in (
        ("data-dir", "RPN_DATA_DIR: the pool that `rpn up` keeps there, unless a server is named"),
        ("pool", "RPN_POOL (default)"),
        ("redis-url", "RPN_REDIS_URL"),
    ):
        command = click.option(f"--{name}", metavar="VALUE", help=text)(command)
    return click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))(command)


@click.command(short_help="Save a pool's data in a file.")
@_where
def backup(file: Path, **where: str | None) -> None:
    """Save all that a pool holds in FILE (`-`: standard output), as it is at one moment.

    The pool goes on working.

    \b
    Example:
      rpn backup pool.backup
      rpn backup - | gzip > pool.backup.gz
    """
    _work(["save", str(file)], where)


@click.command(short_help="Bring a pool's data back from a file.")
@_where
@click.option("--force", is_flag=True, help="replace what the pool holds, and even while it is running")
def restore(file: Path, *, force: bool, **where: str | None) -> None:
    """Let a pool be what it was when FILE was saved: all of it, or nothing is changed.

    Devices report again by themselves; tasks that ran then are started again.

    \b
    Example:
      rpn restore pool.backup
    """
    _work(["restore", str(file), *(["--force"] if force else [])], where)


def _work(arguments: list[str], where: dict[str, str | None]) -> None:
    """In a process of its own, as everything that speaks to the store is."""
    require_server_extra()
    environ = with_flags(os.environ, {key: where[key] for key in ("redis_url", "pool")})
    with ExitStack() as running:
        if not (environ.get("RPN_REDIS_URL") or environ.get("RPN_REDIS_URL_FILE")):
            environ["RPN_REDIS_URL"] = _kept_by_up(where["data_dir"], running, anew=arguments[0] == "restore")
        load(StoreSettings, environ)  # a bad setting is told before anything starts
        command = [*module_command("rpn.store.backup"), *arguments]
        status = subprocess.run(command, env=environ, check=False).returncode  # noqa: S603 - no shell
    sys.exit(status)


def _kept_by_up(data_dir: str | None, running: ExitStack, *, anew: bool) -> str:
    """The server of `rpn up`; started for as long as this takes if it does not run.

    Unless a pool may begin `anew` there, raises BadSettings where there is none.
    """
    from rpn.store.embedded import EmbeddedServer

    folder = Path(load(UpSettings, os.environ, data_dir=data_dir).data_dir).expanduser()
    server = EmbeddedServer(folder)
    if not (anew or server.log_path.parent.exists()):
        raise BadSettings(f"there is no pool in {folder}: name its folder by --data-dir (RPN_DATA_DIR)")
    if not server.ready():
        running.enter_context(server)
    return server.url
