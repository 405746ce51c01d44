"""`rpn tasks`, `rpn logs`, `rpn cancel`, `rpn why`: look after tasks, whoever submitted them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from rpn.cli.explain import device_by_device, outcome, why_not
from rpn.cli.present import as_json, facts, note, plain_lines, table
from rpn.cli.questions import answers_json, asks_pool, named, the_one
from rpn.errors import NotFound

if TYPE_CHECKING:
    from rpn.client.api import Api

FINAL = ("succeeded", "failed", "cancelled", "expired")
COLUMNS = ("ID", "SUBMITTER", "WHAT", "STATE", "DEVICE", "AGE")
FOLLOW_S = 0.5
"""between two looks at a log that is followed"""
FAILED = 1
"""exit status when the task did not succeed"""


@click.command(short_help="List tasks.")
@click.option(
    "--state", type=click.Choice(["queued", "assigned", "running", *FINAL]), help="only in this state"
)
@click.option("--submitter", metavar="NAME", help="only this one's")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="the newest so many"
)
@answers_json
@asks_pool
def tasks(api: Api, state: str | None, submitter: str | None, limit: int, json_wanted: bool) -> None:
    """List tasks, the newest first: what waits, what runs, what has ended lately.

    \b
    Example:
      rpn tasks
      rpn tasks --state running
      rpn tasks --submitter desk --json
    """
    answer = api.get("api", "tasks", state=state, submitter=submitter, limit=limit)
    if json_wanted:
        as_json(answer)
    else:
        names = {each["id"]: each["name"] for each in api.get("api", "devices")["devices"]}
        table(COLUMNS, [row(each, names) for each in answer["tasks"]])


def row(task: dict[str, Any], names: dict[str, str]) -> tuple[str, ...]:
    """One task of `/api/tasks` in words; `names` are those of the devices that are there now, by id."""
    progress, device_id = task.get("progress"), task.get("deviceId") or ""
    state = (
        f"{task['state']} {progress:.0%}"
        if progress is not None and task["state"] == "running"
        else task["state"]
    )
    return (
        task["taskId"][:13],
        task["submitterId"],
        task.get("command") or task.get("type", ""),
        state,
        names.get(device_id, device_id[:8]) or "-",
        _age(task.get("submittedAt", "")),
    )


def _age(at: str) -> str:
    """How long ago a UTC time was, as ps tells it."""
    from datetime import UTC, datetime

    if not at:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


@click.command(short_help="Show what a task has printed.")
@click.argument("task")
@click.option("--submitter", metavar="NAME", help="whose task, if several have one of this name")
@click.option("--follow", "-f", is_flag=True, help="go on until the task ends")
@asks_pool
def logs(api: Api, task: str, submitter: str | None, follow: bool) -> None:
    """Show the last part of what a task has printed; TASK is its id, or the beginning of it.

    \b
    Example:
      rpn logs -f 3f2a
    """
    owner, task_id = find(api, task, submitter)
    shown = ""
    while True:
        found = api.get("api", "tasks", task_id, submitter=owner)
        log = found.get("log") or ""
        click.echo(plain_lines(_news(shown, log)), nl=False)
        shown = log
        if not follow or found["state"] in FINAL:
            break
        time.sleep(FOLLOW_S)


def _news(shown: str, log: str) -> str:
    """What of a log's tail was not shown yet; the tail may have moved on meanwhile."""
    if log.startswith(shown):
        return log[len(shown) :]
    overlap = next(
        (size for size in range(min(len(shown), len(log)), 0, -1) if shown.endswith(log[:size])), 0
    )
    return log[overlap:]


@click.command(short_help="Stop a task.")
@click.argument("task")
@click.option("--submitter", metavar="NAME", help="whose task, if several have one of this name")
@asks_pool
def cancel(api: Api, task: str, submitter: str | None) -> None:
    """Stop a task wherever it is; TASK is its id, or the beginning of it.

    \b
    Example:
      rpn cancel 3f2a
    """
    owner, task_id = find(api, task, submitter)
    state = (api.delete("api", "tasks", task_id, submitter=owner) or {}).get("state")
    note(f"{task_id} is over: {state}" if state in FINAL else f"{task_id} is told to stop")


@click.command(short_help="Tell why a task or a request has nothing.")
@click.argument("what")
@click.option("--submitter", metavar="NAME", help="whose task, if several have one of this name")
@answers_json
@asks_pool
def why(api: Api, what: str, submitter: str | None, json_wanted: bool) -> None:
    """Tell why a task waits or a request was refused, and for each device what is missing.

    WHAT is a task's or an allocation's id, or the beginning of a task's.

    \b
    Example:
      rpn why 3f2a
    """
    found, needs = _subject(api, what, submitter)
    if json_wanted:
        as_json(found)
        return
    _tell(found)
    if _lacking(found):
        device_by_device(api, needs)


def _subject(api: Api, what: str, submitter: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the pool knows of it, and what has its needs."""
    try:
        answer = api.get("api", "allocations", what)
        return answer, answer["allocation"]
    except NotFound:
        owner, task_id = find(api, what, submitter)
        task = api.get("api", "tasks", task_id, submitter=owner)
        return task, task


def _lacking(found: dict[str, Any]) -> bool:
    return not found["allocation"]["fulfilled"] if "allocation" in found else found["state"] == "queued"


def _tell(found: dict[str, Any]) -> None:
    if "allocation" in found:
        if not _lacking(found):
            click.echo(f"it is held until {found.get('expiresAt', 'it is released')}")
        else:
            why_not(found.get("reason"))
        return
    facts([("task", found["taskId"]), ("state", found["state"]), ("device", found.get("deviceId") or "")])
    if found["state"] == "queued":
        why_not(found.get("reason"))
    elif found["state"] in FINAL and not (found.get("result") or {}).get("success", True):
        outcome(found["result"])


def find(api: Api, said: str, submitter: str | None) -> tuple[str, str]:
    """(submitter, id) of the task that `said` names: its id, or the beginning of it."""
    named("task", said)
    try:
        task = api.get("api", "tasks", said, submitter=submitter)
        return task["submitterId"], task["taskId"]
    except NotFound:
        listed = api.get("api", "tasks", submitter=submitter, limit=1000)["tasks"]
    keys = {f"{each['submitterId']} {each['taskId']}": each for each in listed}
    found = keys[the_one("task", said, [(key, (each["taskId"],)) for key, each in keys.items()])]
    return found["submitterId"], found["taskId"]


def end_with(result: dict[str, Any] | None) -> None:
    """Show a result on standard output, or why there is none, and exit accordingly."""
    if result is None or not result.get("success"):
        outcome(result or {"error": "it has no result"})
        sys.exit(FAILED)
    value = result.get("result")
    if isinstance(value, str):
        click.echo(value)
    else:
        as_json(value)
