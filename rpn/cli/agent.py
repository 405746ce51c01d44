"""`rpn agent`: bring this machine into a pool, and say what the pool may do with it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click

from rpn.cli import agent_words as words
from rpn.cli.agent_door import ask, data_dir_of
from rpn.cli.agent_join import join
from rpn.cli.agent_service import install, uninstall
from rpn.cli.flags import flags_for, with_flags
from rpn.cli.process import become
from rpn.cli.times import seconds_until
from rpn.settings import AgentSettings, load

data_dir_flag = click.option(
    "--data-dir", metavar="VALUE", help="the agent's folder (RPN_DATA_DIR; without it, also that of `rpn up`)"
)


@click.group(invoke_without_command=True, short_help="Bring this machine into a pool; say what it may do.")
@flags_for(AgentSettings)
@click.pass_context
def agent(context: click.Context, /, **flags: Any) -> None:
    """Start an agent: it brings this machine into the pool and runs its tasks.

    Without --server it goes where it joined, else to the pool on this machine, else it looks for one
    on this network (extra [lan]). The commands below speak to the agent that runs on this machine.

    \b
    Example:
      rpn agent --server desk.local:3000
    """
    context.obj = flags["data_dir"]
    if context.invoked_subcommand is None:
        from rpn.cli.agent_search import server_for

        environ = with_flags(os.environ, flags)
        data_dir = load(AgentSettings, environ).data_dir
        flags["server"] = server_for(environ, data_dir) or flags["server"]
        become("agent", AgentSettings, flags)


@agent.command()
@data_dir_flag
@click.option("--for", "for_", metavar="TIME", help="for so long: 45m, 1h, 2d")
@click.option("--until", metavar="TIME", help="until then: 18:00, tomorrow, 2026-12-24, '2026-12-24 18:00'")
@click.pass_obj
def pause(given: str | None, data_dir: str | None, for_: str | None, until: str | None) -> None:
    """Offer nothing to the pool, for a time or until `rpn agent resume`.

    \b
    Example:
      rpn agent pause --for 1h
      rpn agent pause --until tomorrow
    """
    said: dict[str, Any] = {"do": "pause"}
    if for_ or until:
        said["for_s"] = seconds_until(for_=for_, until=until, now_s=time.time())
    click.echo(words.standing(ask(_folder(data_dir, given), said)))


@agent.command()
@data_dir_flag
@click.pass_obj
def resume(given: str | None, data_dir: str | None) -> None:
    """Offer what the policy allows again, after a pause.

    \b
    Example:
      rpn agent resume
    """
    click.echo(words.standing(ask(_folder(data_dir, given), {"do": "resume"})))


@agent.command()
@data_dir_flag
@click.option("--json", "as_json", is_flag=True, help="for programs")
@click.pass_obj
def status(given: str | None, data_dir: str | None, as_json: bool) -> None:
    """Tell how the agent of this machine is.

    \b
    Example:
      rpn agent status --json
    """
    found = ask(_folder(data_dir, given), {"do": "status"})
    click.echo(words.as_json(found) if as_json else words.status(found))


@agent.command()
@data_dir_flag
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--reset", is_flag=True, help="take what agent.toml says again")
@click.pass_obj
def policy(given: str | None, data_dir: str | None, changes: tuple[str, ...], reset: bool) -> None:
    """Show the policy, or change parts of it until the next `--reset`; `NAME=` unsets one.

    \b
    Example:
      rpn agent policy cpu=50 memory=50
      rpn agent policy hours=mon-fri\\ 18:00-08:00 hours=sat,sun
      rpn agent policy idle_after=300 when_withheld=return
    """
    said = {"do": "policy", "changes": words.changes(changes), "reset": reset}
    click.echo(words.policy(ask(_folder(data_dir, given), said)))


@agent.command()
@data_dir_flag
@click.pass_obj
def doctor(given: str | None, data_dir: str | None) -> None:
    """Look for what keeps an agent on this machine from doing well; exit 1 if something does.

    \b
    Example:
      rpn agent doctor
    """
    from rpn.cli.agent_doctor import examine

    raise SystemExit(examine(_folder(data_dir, given)))


agent.add_command(join)
agent.add_command(install)
agent.add_command(uninstall)


def _folder(own: str | None, given: str | None) -> Path:
    return data_dir_of(given if own is None else own)
