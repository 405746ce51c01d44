"""The rules of the house that no tool knows: small functions and files, each with one purpose said first."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
FOLDERS = ("rpn", "gateway", "scheduler", "agent", "tests", "bench", "examples", "docs")
FUNCTION_LIMIT_LINES = 50
FILE_LIMIT_LINES = 400
LUA_LIMIT_LINES = 60
NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}

SOURCES = sorted(path for folder in FOLDERS for path in (HOUSE / folder).rglob("*.py"))
SCRIPTS = sorted((HOUSE / "rpn/store/lua").glob("*.lua"))


def called(path: Path) -> str:
    return str(path.relative_to(HOUSE))


each_source = pytest.mark.parametrize("path", SOURCES, ids=called)
each_script = pytest.mark.parametrize("path", SCRIPTS, ids=called)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@each_source
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    long = [f.name for f in functions(ast.parse(path.read_text())) if lines_of(f) > FUNCTION_LIMIT_LINES]
    assert not long


@each_source
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LIMIT_LINES


@each_source
def test_every_file_opens_with_a_sentence(path: Path) -> None:
    opening = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
    assert re.search(r"[.:?!]$", opening), f"the first words are {opening!r}"


@each_source
def test_no_file_has_a_name_that_says_nothing(path: Path) -> None:
    assert path.stem not in NAMES_THAT_SAY_NOTHING


@each_script
def test_every_script_says_what_it_takes_and_returns(path: Path) -> None:
    header, _ = parts_of(path)
    assert [word for word in ("KEYS", "ARGV", "returns") if word not in "\n".join(header)] == []


@each_script
def test_no_script_is_too_long(path: Path) -> None:
    _, code = parts_of(path)
    lines = sum(1 for line in code if line.strip())
    assert lines <= LUA_LIMIT_LINES


def parts_of(script: Path) -> tuple[list[str], list[str]]:
    """The comment that opens a script, and all below it."""
    lines = script.read_text().splitlines()
    below = next(i for i, line in enumerate(lines) if not re.match("--|#!", line))
    return lines[:below], lines[below:]
