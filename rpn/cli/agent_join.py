"""`rpn agent join`: make this machine a device of a pool that asks for tokens."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import click

from rpn.cli.flags import with_flags
from rpn.cli.process import module_command
from rpn.cli.questions import token_in


@click.command()
@click.argument("url", metavar="[HOST:PORT]", required=False)
@click.option("--token-file", metavar="FILE", help="file with the join token; without it, you are asked")
@click.option(
    "--pin", metavar="SHA256", help="https: the server's certificate, by its fingerprint, from now on"
)
@click.option("--data-dir", metavar="VALUE", help="the agent's folder (RPN_DATA_DIR)")
@click.option("--device-id", metavar="VALUE", help="this device's id (RPN_DEVICE_ID)")
@click.pass_obj
def join(
    given: str | None,
    /,
    url: str | None,
    token_file: str | None,
    pin: str | None,
    data_dir: str | None,
    **flags: Any,
) -> None:
    """Make this machine a device of the pool at HOST:PORT, by a join token.

    Without an address it looks for the pool that `rpn up --lan` tells of on this network.
    The token is read from a file or asked for, because everybody on this machine sees a command line.

    \b
    Example:
      rpn agent join desk.local:3000
      rpn agent join https://pool.example.org --token-file join.token
      rpn agent join https://192.168.0.5:3000 --pin sha256:5f1c...
      rpn agent join --pin sha256:5f1c...
    """
    from rpn.cli.agent_search import search_to_join
    from rpn.client.servers import parse_servers

    url = url or search_to_join(pinned=bool(pin))
    parse_servers(url)  # a bad address is told before a token is asked for
    environ = with_flags(
        os.environ, {"server": url, "data_dir": given if data_dir is None else data_dir, **flags}
    )
    environ.pop("RPN_TOKEN", None)
    environ.pop("RPN_TOKEN_FILE", None)
    command = module_command("agent.join")  # what makes a device is the agent's business
    command += [pin] if pin else []
    said = _join_token(token_file) + "\n"
    done = subprocess.run(command, env=environ, input=said, text=True, check=False)  # noqa: S603 - no shell
    raise SystemExit(done.returncode)


def _join_token(file: str | None) -> str:
    """From the file, from whoever types, or from a pipe. Raises BadSettings."""
    if file is None:
        if sys.stdin.isatty():
            return str(click.prompt("Join token", hide_input=True, err=True)).strip()
        return sys.stdin.readline().strip()
    return token_in(file)
