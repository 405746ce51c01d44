"""Markdown's tables, and what a class says about its members."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under their columns; a bar or a line's end in a cell does not end it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def sentence(text: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((text or "").split("\n\n")[0].split())


def member_texts(kind: type) -> dict[str, str]:
    """The docstrings below the members of a class, by the member's name."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    members = tree.body if isinstance(tree, ast.ClassDef) else []
    texts = {}
    for member, below in itertools.pairwise(members):
        target = member.targets[0] if isinstance(member, ast.Assign) else None
        text = below.value if isinstance(below, ast.Expr) else None
        if isinstance(target, ast.Name) and isinstance(text, ast.Constant):
            texts[target.id] = str(text.value)
    return texts
