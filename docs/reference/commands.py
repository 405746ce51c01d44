"""The reference of the command line, as its commands describe themselves."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import click

from docs.reference.tables import table
from rpn import cli
from rpn.settings import default_data_dir

EXITS = (
    (0, "done"),
    (1, "the pool answered, but not with what was wanted: no room, a task that failed, something unwell"),
    (cli.BAD_START, "typed wrongly, or a setting that cannot be: the same again cannot help"),
    (cli.UNREACHABLE, "no gateway answers"),
    (cli.REFUSED, "the pool refuses; the text tells why"),
    (cli.INTERRUPTED, "ended by Ctrl-C"),
)
OPENING = """\
# Command line

`rpn COMMAND --help` shows the same in a terminal. What a program reads goes to standard output, what people
want to know beside it to standard error; `--json` gives one JSON document. Devices, tasks and allocations
may be named by the beginning of their id, devices by their name too. A table is plain where nobody looks at
it, and `NO_COLOR` is minded.

`--server` (or `RPN_SERVER`) says where the pool is, without it `127.0.0.1:3000`; `--token-file` (or
`RPN_TOKEN_FILE`) names the file with a token, because everybody on a machine sees a command line.
"""


def chapter() -> str:
    """The whole page."""
    exits = table(("status", "means"), ((f"`{status}`", text) for status, text in EXITS))
    return f"{OPENING}\n## Exit statuses\n\n{exits}\n" + "\n".join(_commands(cli.rpn, ("rpn",)))


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield _section(command, (*path, name))
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


def _section(command: click.Command, path: tuple[str, ...]) -> str:
    """One command: what it does, how it is typed, an example, its options."""
    typed = " ".join((*path, *command.collect_usage_pieces(click.Context(command))))
    prose, example = _described(command)
    options = [_option(each) for each in command.params if isinstance(each, click.Option)]
    shown = "\n" + table(("option", "means"), options) if options else ""
    marks = "#" * len(path)
    return f"{marks} `{' '.join(path)}`\n\n{prose}\n\n```text\n{typed}\n```\n\n```sh\n{example}\n```\n{shown}"


def _described(command: click.Command) -> tuple[str, str]:
    """The help as prose, and the lines of its example."""
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    prose, _, example = text.partition("Example:\n")
    return prose.strip(), textwrap.dedent(example).rstrip()


def _option(option: click.Option) -> tuple[str, str]:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))
    metavar = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    default = f" (default {option.default})" if option.show_default and option.default is not None else ""
    text = (option.help or "").replace(default_data_dir(), "~/.local/share/rpn")
    return names + metavar, text + default
