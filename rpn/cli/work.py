"""`rpn submit`, `rpn run`: have the pool work, from the command line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rpn.cli.explain import outcome
from rpn.cli.present import as_json, note, plain_lines
from rpn.cli.questions import answers_json, asks_pool, at_pool, named, place
from rpn.cli.reserve import Seconds, needs_of, needs_options
from rpn.cli.tasks import FINAL, end_with

if TYPE_CHECKING:
    from rpn.client.api import Api
    from rpn.client.submission import Submission

WAIT_S = 30
"""how long one question waits for a task's end"""
INTERRUPTED = 130
"""exit status after Ctrl-C, as shells have it"""
BUILT_IN = ("echo", "sleep", "sha256", "primes")
"""take one input and nothing else"""
_FLAG = re.compile(r"--([a-z][a-z0-9_]*)")
_NAMED = re.compile(r"(?:--)?([a-z][a-z0-9_]*)=(.*)", re.DOTALL)
_EXIT_CODE = re.compile(r"exit code (\d+)")


@click.command(short_help="Submit a task.")
@click.argument("command")
@click.argument("input", required=False, metavar="[INPUT]")
@needs_options
@click.option(
    "--priority", type=click.IntRange(-100, 100), default=0, help="-100 to 100; higher runs earlier"
)
@click.option("--timeout", type=Seconds(0, min_open=True), metavar="SECONDS", help="longest run")
@click.option("--id", "task_id", metavar="ID", help="the same id never runs a second task")
@click.option("--submitter", default="cli", show_default=True, help="in whose name")
@click.option("--wait", is_flag=True, help="wait for the end, and show the result")
@answers_json
@asks_pool
def submit(
    api: Api,
    command: str,
    input: str | None,  # noqa: A002 - the word of the protocol
    priority: int,
    timeout: float | None,
    task_id: str | None,
    submitter: str,
    wait: bool,
    json_wanted: bool,
    **needs: Any,
) -> None:
    """Have some device run COMMAND, a name its owner registered, on INPUT: JSON, or else a text.

    Prints the task's id, or with --wait its result.

    \b
    Example:
      rpn submit primes '{"n": 100000}' --wait
      rpn submit render '{"frame": 7}' --gpu --mem 8G
    """
    task: dict[str, Any] = {
        "type": "compute",
        "submitterId": submitter,
        "requirements": needs_of(**needs),
        "data": {"command": command, "input": _input(input)},
        "priority": priority,
    }
    if task_id is not None:
        named("task", task_id)
    task |= {name: value for name, value in (("id", task_id), ("timeout", timeout)) if value is not None}
    answer = api.post("api", "tasks", body=task)
    try:
        while wait and answer["state"] not in FINAL:
            answer = api.get("api", "tasks", answer["taskId"], submitter=submitter, wait=WAIT_S)
    except KeyboardInterrupt:
        note(f"{answer['taskId']} goes on: `rpn why` and its id tell how it is, `rpn cancel` stops it")
        sys.exit(INTERRUPTED)
    if json_wanted:
        as_json(answer)
    elif wait:
        end_with(answer.get("result"))
    else:
        click.echo(answer["taskId"])


def _input(said: str | None) -> Any:
    """JSON, or else a text. Raises UsageError for what no message can hold."""
    if said is None:
        return None
    try:
        said.encode()
    except UnicodeEncodeError:
        raise click.UsageError("the input is no UTF-8") from None
    try:
        found = json.loads(said, parse_constant=_no_json)
    except ValueError:
        return said
    try:
        json.dumps(found, allow_nan=False)
    except ValueError:
        raise click.UsageError("the input has a number that is too large") from None
    return found


def _no_json(name: str) -> None:
    """`NaN` and `Infinity` are none."""
    raise ValueError(name)


def _piped() -> str | None:
    """What is piped in. Raises UsageError if it is no text."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise click.UsageError("what is piped in is no UTF-8: give it as a file, with --in") from None


@click.command(
    short_help="Run a command on the pool as if it were here.",
    context_settings={"ignore_unknown_options": True},
)
@click.option(
    "--in", "inputs", type=click.Path(exists=True, dir_okay=False), multiple=True, help="a file it reads"
)
@click.option("--out", "folder", type=click.Path(file_okay=False), help="folder for the files it writes")
@click.option("--result", "outputs", multiple=True, metavar="NAME", help="a file it writes; may be repeated")
@needs_options
@click.option("--timeout", type=Seconds(0, min_open=True), metavar="SECONDS", help="longest run")
@at_pool
@click.argument("command")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def run(
    server: str | None,
    token_file: str | None,
    inputs: tuple[str, ...],
    folder: str | None,
    outputs: tuple[str, ...],
    timeout: float | None,
    command: str,
    args: tuple[str, ...],
    **needs: Any,
) -> None:
    """Run COMMAND on some device as if it were here: live output, its exit code, Ctrl-C stops it.

    COMMAND is a name that the device's owner registered. Of ARGS, --NAME VALUE and NAME=VALUE fill
    the places that the owner left open; anything else, or what is piped in, is its input.

    \b
    Example:
      rpn run -- primes '{"n": 100000}'
      rpn run --in scene.blend --result frame.png --out . -- render --frame 7
      cat words.txt | rpn run -- wordcount
    """
    at = place(server, token_file)
    data = _data(command, args, _sent(at, inputs), outputs)
    try:
        sys.exit(asyncio.run(_run(at, data, needs_of(**needs), timeout, folder)))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _data(
    command: str, words: tuple[str, ...], files: dict[str, Any], outputs: tuple[str, ...]
) -> dict[str, Any]:
    """The task's data: words that name a place of the command fill it, the others are its input."""
    piped = _piped()
    args, rest = ({}, list(words)) if command in BUILT_IN else _named(words)
    data: dict[str, Any] = {"command": command}
    if rest:
        data["input"] = _input(" ".join(rest))
    elif piped:
        data["input"] = piped
    if args:
        data["args"] = args
    if files:
        data["files"] = files
    if outputs:
        data["outputs"] = list(outputs)
    return data


def _named(words: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """`--size=256`, `--size 256` and `size=256` as `{"size": "256"}`, and the words that name nothing."""
    args: dict[str, str] = {}
    rest: list[str] = []
    waiting = ""
    for word in words:
        if waiting:
            args[waiting], waiting = word, ""
        elif flag := _FLAG.fullmatch(word):
            waiting = flag[1]
        elif named := _NAMED.fullmatch(word):
            args[named[1]] = named[2]
        else:
            rest.append(word)
    if waiting:
        raise click.UsageError(f"--{waiting} has no value; expected for example --{waiting}=1")
    return args, rest


def _sent(at: tuple[str, str], paths: tuple[str, ...]) -> dict[str, Any]:
    """The files, in the pool: by their name, where each is."""
    from rpn.client.api import Api

    files = {}
    with closing(Api(at[0], token=at[1])) as api:
        for path in map(Path, paths):
            body = path.read_bytes()
            digest = hashlib.sha256(body).hexdigest()
            api.put_bytes("api", "blobs", digest, body=body)
            files[path.name] = {"blob": digest}
    return files


async def _run(
    at: tuple[str, str],
    data: dict[str, Any],
    needs: dict[str, Any],
    timeout_s: float | None,
    folder: str | None,
) -> int:
    """Follow the task to its end; the exit status for the shell."""
    import msgspec

    from rpn.client.options import Options
    from rpn.client.pool import AsyncPool
    from rpn.client.refusals import TaskFailed
    from rpn.model import Requirements

    options = Options(requirements=msgspec.convert(needs, Requirements), timeout_s=timeout_s)
    async with AsyncPool(at[0], token=at[1], watch=False) as pool:
        submission = pool.submit_data(options, data)
        following = asyncio.create_task(_follow(submission))
        try:
            result = await submission
        except TaskFailed as failed:
            return _failed(failed)
        except asyncio.CancelledError:
            await _stop(submission)
            raise
        finally:
            following.cancel()
    _bring(at, result, folder)
    return 0


async def _follow(submission: Submission) -> None:
    """Write what the task prints as it comes, on standard error as the task did."""
    async for piece in submission.follow():
        click.echo(plain_lines(piece), nl=False, err=True)


async def _stop(submission: Submission) -> None:
    from rpn.client.refusals import TaskFailed

    note("stopping it")
    submission.cancel()
    try:
        async with asyncio.timeout(5):
            await submission
    except (TaskFailed, TimeoutError):
        return


def _failed(failed: Any) -> int:
    """The command's own exit code if it had one."""
    found = _EXIT_CODE.match(str(failed.args[0]))
    if failed.code == "EXIT" and found:
        return int(found[1]) or 1
    outcome({"code": failed.code, "error": failed.args[0]})
    return 1


def _bring(at: tuple[str, str], result: Any, folder: str | None) -> None:
    """Show the result, and fetch the files that it tells of."""
    from rpn.client.api import Api

    files = result.get("files") if isinstance(result, dict) else None
    shown = result.get("result") if files and isinstance(result, dict) else result
    if files:
        target = Path(folder or ".")
        target.mkdir(parents=True, exist_ok=True)
        with closing(Api(at[0], token=at[1])) as api:
            for name, where in files.items():
                (target / Path(name).name).write_bytes(api.get_bytes("api", "blobs", where["blob"]))
                note(f"wrote {target / Path(name).name}")
    if isinstance(shown, str):
        click.echo(shown, nl=not shown.endswith("\n"))
    elif shown is not None:
        as_json(shown)
