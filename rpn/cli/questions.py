"""What every command has that asks a pool something: where it is, who asks, and how to answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rpn.errors import BadSettings

if TYPE_CHECKING:
    from rpn.client.api import Api

Command = Callable[..., Any]


def asks_pool(command: Command) -> Command:
    """Give `command` an open Api as its first argument, and the options --server and --token-file."""

    @wraps(command)
    def asking(server: str | None, token_file: str | None, **rest: Any) -> Any:
        from rpn.client.api import Api

        url, token = place(server, token_file)
        with closing(Api(url, token=token)) as api:
            return command(api, **rest)

    return at_pool(asking)


def at_pool(command: Command) -> Command:
    """The options that say where the pool is; `place` reads them."""
    command = click.option("--token-file", metavar="FILE", help="file with a token (RPN_TOKEN_FILE)")(command)
    return click.option("--server", metavar="HOST:PORT", help="gateways, comma-separated (RPN_SERVER)")(
        command
    )


def place(server: str | None, token_file: str | None) -> tuple[str, str]:
    """Server and token, as the flags or else the environment tell them. Raises BadSettings."""
    from rpn.client.servers import told_server, told_token

    logging.getLogger("rpn").addHandler(logging.NullHandler())  # the screen tells people
    return server or told_server(), told_token() if token_file is None else token_in(token_file)


def token_in(file: str) -> str:
    """The token that the file of `--token-file` holds. Raises BadSettings."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"--token-file: {error}") from None


def answers_json(command: Command) -> Command:
    """The option --json."""
    return click.option("--json", "json_wanted", is_flag=True, help="one JSON document, for programs")(
        command
    )


def named(kind: str, said: str) -> None:
    """Raise click.UsageError for an empty name: everything begins with it."""
    if not said:
        raise click.UsageError(f"which {kind}? Its name is empty")


def the_one(kind: str, said: str, found: Iterable[tuple[str, Sequence[str]]], *, listed_by: str = "") -> str:
    """The id of the thing that `said` names: one of its names in full, or a prefix only it has.

    `found` has (id, all its names); `listed_by` is the command that lists them. Raises
    click.UsageError if there is none, or more than one.
    """
    named(kind, said)
    known = [(id_, names) for id_, names in found if any(name.startswith(said) for name in names)]
    exact = [id_ for id_, names in known if said in names]
    ids = exact or [id_ for id_, _ in known]
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise click.UsageError(f"no {kind} is called {said!r}; `{listed_by or f'rpn {kind}s'}` lists them")
    raise click.UsageError(f"{said!r} may be any of {', '.join(sorted(ids)[:5])}: say more of it")


def device_id(api: Api, said: str) -> str:
    """The device that `said` names: its id or name, or the beginning of one."""
    devices = api.get("api", "devices")["devices"]
    return the_one("device", said, [(each["id"], (each["id"], each["name"])) for each in devices])
