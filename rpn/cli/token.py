"""`rpn token`, `rpn audit`: who may use a pool that asks for tokens, and what they did about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from rpn.cli.present import as_json, note, table
from rpn.cli.questions import answers_json, asks_pool, the_one
from rpn.cli.reserve import Labels
from rpn.cli.times import duration_s
from rpn.tokens import TokenKind

if TYPE_CHECKING:
    from rpn.client.api import Api

SHOWN = 50
"""deeds, unless told"""


@click.group(short_help="Say who may use the pool: make, list and revoke tokens.")
def token() -> None:
    """Make, list and revoke the tokens of a pool that asks for them (RPN_AUTH=token).

    It takes an administrator's token to do that: `rpn up` keeps one in admin.token.

    \b
    Example:
      rpn token create join --token-file ~/.local/share/rpn/admin.token
      rpn token create submitter --name ci --expires 30d
      rpn token revoke 4be1
    """


@contextmanager
def _known_to_guards_only() -> Iterator[None]:
    """Around a question that an open pool has no answer to."""
    from rpn.errors import NotFound, RPNError

    try:
        yield
    except NotFound:
        raise RPNError(
            "this pool is open, with neither tokens nor an audit; RPN_AUTH=token starts one that has them"
        ) from None


@token.command(short_help="Make a token.")
@click.argument("kind", type=click.Choice([str(kind) for kind in TokenKind]))
@click.option("--name", default="", metavar="TEXT", help="what people call it")
@click.option("--expires", metavar="TIME", help="so long it is good: 45m, 30d (join: 15m, others: no end)")
@click.option("--uses", type=click.IntRange(1, 1_000_000), help="join: how many machines may join by it (1)")
@click.option("--label", "labels", type=Labels(), multiple=True, help="join, device: what its device carries")
@click.option("--device", metavar="ID", help="device: the only device that it speaks for")
@click.option("--messages-per-s", type=click.IntRange(1), metavar="N", help="quota of a connection")
@click.option("--connections", type=click.IntRange(1), metavar="N", help="quota at each gateway")
@click.option("--open-tasks", type=click.IntRange(1), metavar="N", help="quota of tasks that are not over")
@click.option(
    "--share",
    type=click.IntRange(1, 100),
    metavar="PERCENT",
    help="of the pool, what its allocations and running tasks may hold at once",
)
@answers_json
@asks_pool
def create(api: Api, kind: str, json_wanted: bool, **said: Any) -> None:
    """Make a token and print it: nobody can read it again.

    \b
    Example:
      rpn token create join                          one machine, within 15 minutes
      rpn token create join --uses 20 --expires 1d --label room=lab
      rpn token create observer --name wall > wall.token
      rpn token create submitter --share 25 --open-tasks 1000 > students.token
    """
    with _known_to_guards_only():
        made = api.post("api", "tokens", body={"kind": kind, **_wanted(**said)})
    if json_wanted:
        as_json(made)
        return
    click.echo(made["token"])
    note(f"{kind} token {made['id']}, until {made['expiresAt'] or 'it is revoked'}; it is not shown again")
    if kind == TokenKind.JOIN:
        note("on the other machine: rpn agent join HOST:PORT   (it asks for the token)")


def _wanted(
    *,
    name: str,
    expires: str | None,
    uses: int | None,
    labels: tuple[tuple[str, str], ...],
    device: str | None,
    messages_per_s: int | None,
    connections: int | None,
    open_tasks: int | None,
    share: int | None,
) -> dict[str, Any]:
    """What was said about a token, as the wire has it; what was not said is left out."""
    quota = {
        "messagesPerS": messages_per_s,
        "connections": connections,
        "openTasks": open_tasks,
        "sharePercent": share,
    }
    wanted = {
        "name": name,
        "labels": dict(labels),
        "expiresInS": duration_s(expires) if expires else None,
        "uses": uses,
        "deviceId": device,
        "quota": {key: value for key, value in quota.items() if value is not None},
    }
    return {key: value for key, value in wanted.items() if value is not None}


@token.command("list", short_help="List the tokens.")
@answers_json
@asks_pool
def list_(api: Api, json_wanted: bool) -> None:
    """List the tokens, without what makes them valid.

    \b
    Example:
      rpn token list --json
    """
    with _known_to_guards_only():
        answer = api.get("api", "tokens")
    if json_wanted:
        as_json(answer)
    else:
        table(("ID", "KIND", "NAME", "DEVICE", "USES", "UNTIL"), [_row(each) for each in answer["tokens"]])


def _row(shown: dict[str, Any]) -> tuple[str, ...]:
    uses = shown.get("usesLeft")
    return (
        shown["id"],
        shown["kind"],
        shown["name"] or "-",
        shown.get("deviceId") or "-",
        "-" if uses is None else str(uses),
        shown["expiresAt"] or "-",
    )


@token.command(short_help="Revoke a token.")
@click.argument("id_", metavar="ID")
@asks_pool
def revoke(api: Api, id_: str) -> None:
    """Revoke a token at once, on every gateway; ID may be the beginning of it.

    \b
    Example:
      rpn token revoke 4be1
    """
    with _known_to_guards_only():
        ids = [each["id"] for each in api.get("api", "tokens")["tokens"]]
    found = the_one("token", id_, [(each, (each,)) for each in ids], listed_by="rpn token list")
    api.delete("api", "tokens", found)
    note(f"{found} is worth nothing any more, and its connections are closed")


@click.command(short_help="Tell who did what about access.")
@click.option("--limit", type=click.IntRange(1, 1000), default=SHOWN, help=f"so many ({SHOWN})")
@answers_json
@asks_pool
def audit(api: Api, limit: int, json_wanted: bool) -> None:
    """Tell who made, used or was refused what, the newest first.

    \b
    Example:
      rpn audit --limit 200
      rpn audit --json > audit.json
    """
    with _known_to_guards_only():
        answer = api.get("api", "audit", limit=limit)
    if json_wanted:
        as_json(answer)
        return
    rows = [
        (each["at"], each["who"], each["what"], each["outcome"], each["address"], str(each["times"]))
        for each in answer["deeds"]
    ]
    table(("AT", "WHO", "WHAT", "OUTCOME", "FROM", "TIMES"), rows)
