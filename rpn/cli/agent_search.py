"""Finds the pool that this machine is to join where nobody named one, and joins none without being told."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from rpn.cli import lan
from rpn.cli.lan import Heard
from rpn.cli.present import note, plain
from rpn.client import credential
from rpn.client.servers import DEFAULT_PORT
from rpn.errors import BadSettings

TOLD = ("RPN_SERVER", "RPN_TOKEN", "RPN_JOIN_TOKEN")
"""whoever set one of these, or its _FILE, knows which pool is meant"""
KNOCK_S = 0.5


def is_lost(environ: Mapping[str, str], data_dir: Path) -> bool:
    """Whether an agent would not know where to go: nobody told, it never joined, and here is no pool."""
    told = any(environ.get(name) or environ.get(f"{name}_FILE") for name in TOLD)
    return not told and credential.kept(data_dir) is None and not _somebody_listens_here()


def _somebody_listens_here() -> bool:
    try:
        socket.create_connection(("127.0.0.1", DEFAULT_PORT), KNOCK_S).close()
    except OSError:
        return False
    return True


def search() -> str | None:
    """The open pool of this network that is meant, as RPN_SERVER has it; None if nobody tells of one.

    Raises BadSettings if there are several, or if it asks for tokens: then this machine has to join it.
    """
    heard = _look()
    if not heard:
        return None
    found = the_one(heard)
    if found.asks:
        raise BadSettings(
            f"{_named(found)} asks for tokens: type `rpn token create join` there, "
            f"`rpn agent join {found.server}` here, and then `rpn agent`"
        )
    _agreed(found)
    return found.server


def search_to_join(*, pinned: bool) -> str:
    """The same of a pool that asks for tokens. Raises BadSettings if there is none.

    Anybody may tell of a pool: with a pin its certificate proves that it is the one, else somebody at
    the terminal has to agree before it gets to see a token.
    """
    lan.require_lan_extra()
    heard = [each for each in _look() if each.asks]
    if not heard:
        raise BadSettings("no pool that asks for tokens is told of on this network: name it, as HOST:PORT")
    found = the_one(heard)
    if found.tls and not pinned:
        raise BadSettings(f"{_named(found)} speaks TLS: add `--pin sha256:...`, as `rpn up` printed it there")
    if not (found.tls and pinned):
        _agreed(found)
    return found.server


def the_one(heard: Sequence[Heard]) -> Heard:
    """Raises BadSettings, naming them, if there are several."""
    if len(heard) > 1:
        listed = ", ".join(map(_named, heard))
        raise BadSettings(f"several pools are told of on this network: {listed}; name one, as HOST:PORT")
    return heard[0]


def _look() -> list[Heard]:
    if not lan.installed():
        return []
    note("looking for a pool on this network")
    try:
        return asyncio.run(lan.look())
    except (OSError, RuntimeError) as error:
        note(f"the network cannot be asked: {error}")
        return []


def _agreed(found: Heard) -> None:
    """Raise BadSettings unless somebody at the terminal wants this pool."""
    if not sys.stdin.isatty():
        raise BadSettings(f"{_named(found)} is on this network; if it is the one, name it: {found.server}")
    if not click.confirm(f"Found {_named(found)}. Is it the one?", err=True):
        raise BadSettings("then name the one, as HOST:PORT")


def _named(found: Heard) -> str:
    return f"{plain(found.name)} ({found.server})"


def server_for(environ: Mapping[str, str], data_dir: str) -> str | None:
    """Where `rpn agent` is to go that would not know where; None: the settings tell.

    Raises BadSettings at a terminal; where nobody sits, what was heard is told, and it waits.
    """
    if not is_lost(environ, Path(data_dir).expanduser()):
        return None
    try:
        found = search()
    except BadSettings as error:
        if sys.stdin.isatty():
            raise
        note(str(error))
        return None
    if found is None:
        more = "" if lan.installed() else " (to look for one on the network: the extra [lan])"
        note(f"waiting for a pool on this machine; --server HOST:PORT names another{more}")
    return found
