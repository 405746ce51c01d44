"""What the documents say is there: links, the tests they name, a reference as the code has it now."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from docs.reference import generate
from rpn import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")],
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def called(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(document: Path) -> str:
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """What a link may point at within a document, as sites and forges name it."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s", "-", heading.strip()) for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=called)
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(document)):
        if "://" in link or link.startswith("mailto:"):
            continue
        target, _, anchor = link.partition("#")
        meant = (document.parent / target).resolve() if target else document
        if not meant.exists() or (anchor and meant.suffix == ".md" and anchor not in anchors(meant)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", list(generate.CHAPTERS))
def test_the_reference_is_what_the_code_says(name: str) -> None:
    written = (generate.FOLDER / name).read_text(encoding="utf-8")
    assert written == generate.pages()[name], "`make reference` writes it anew"


def test_every_promise_is_held_by_a_test_that_exists() -> None:
    promises = prose(ROOT / "docs" / "guarantees.md")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promises)
    assert len(named) > 40
    assert [f"{file}::{test}" for file, test in named if test not in names_of_tests(ROOT / file)] == []
    files = re.findall(r"`(tests/[\w/]+\.py)`", promises)
    assert [file for file in files if not (ROOT / file).exists()] == []


def names_of_tests(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.exists() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_command_shows_an_example() -> None:
    silent = [path for path, command in commands(cli.rpn, "rpn") if "Example:\n" not in (command.help or "")]
    assert silent == []


def commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    """All below a group, by what one types."""
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((f"{path} {name}", command))
        if isinstance(command, click.Group):
            found += commands(command, f"{path} {name}")
    return found
