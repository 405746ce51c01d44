"""Says in a sentence for people what a setting may be."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

PATTERNS = {r"^[a-z0-9-]{1,32}\Z": "1 to 32 of a-z, 0-9 and -"}
"""by regular expression: what it takes, in words"""


def expected(kind: Any) -> str:
    """What a field of this type takes."""
    found = inspect.type_info(kind)
    if isinstance(found, inspect.LiteralType):
        return f"one of {', '.join(map(str, found.values))}"
    if isinstance(found, inspect.IntType):
        return "a whole number" + _range(found)
    if isinstance(found, inspect.FloatType):
        return "a number" + _range(found)
    if isinstance(found, inspect.StrType) and found.pattern:
        return PATTERNS.get(found.pattern, f"a text like {found.pattern}")
    return "a text that is not empty"


def _range(found: inspect.IntType | inspect.FloatType) -> str:
    if found.le is None:
        return ""
    least = f"from {found.ge:.10g} to" if found.ge is not None else f"above {found.gt or 0:.10g}, at most"
    return f" {least} {found.le:.10g}"
