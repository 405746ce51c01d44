"""What the documents tell to type is there to be typed: commands, programs, an owner's settings."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from agent.config import load_config
from rpn import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "examples" / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "decisions"),
]
_ENDS = re.compile(r"\s(?:&&|\|\|?|;|>|<)\s")
_SAYS = re.compile(r"^(?:\w+=\S*\s+)*rpn\s+(.*)$")


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def typed() -> Iterator[tuple[str, str]]:
    """Every `rpn ...` of the documents: where it stands, and what follows the word."""
    for document in DOCUMENTS:
        for block in blocks(document, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in _ENDS.split(line.partition(" #")[0].strip()):
                    found = _SAYS.match(part.strip())
                    if found:
                        yield document.name, found[1]


def understood(words: list[str]) -> None:
    """Raise click.UsageError if no command takes these words."""
    command: click.Command = cli.rpn
    context = click.Context(command, info_name="rpn")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.make_parser(context).parse_args(list(words))


@pytest.mark.parametrize(("where", "words"), sorted(set(typed())))
def test_every_command_is_one_with_these_options(where: str, words: str) -> None:
    understood(shlex.split(words))


def test_what_is_no_command_would_be_noticed() -> None:
    for words in (["upp"], ["up", "--gatewayz", "3"], ["agent", "joyn"]):
        with pytest.raises(click.UsageError):
            understood(words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_program_is_python_and_imports_what_is_there(document: Path) -> None:
    for block in blocks(document, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "rpn":
                import rpn

                assert [each.name for each in node.names if each.name not in dir(rpn)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_owners_settings_are_good(document: Path, tmp_path: Path) -> None:
    for block in blocks(document, "toml"):
        (tmp_path / "agent.toml").write_text(block, encoding="utf-8")
        load_config(tmp_path / "agent.toml")


def test_the_render_farms_settings_are_good() -> None:
    assert load_config(ROOT / "examples" / "render_farm" / "agent.toml").commands["render"].max_parallel == 2
