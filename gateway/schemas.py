"""JSON Schema of our structs, as both documents publish it: what msgspec makes of them, with our notes."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from rpn.codec import INTEGERS

Schema = dict[str, Any]

TEMPLATE = "#/components/schemas/{name}"
_JSON = {"$ref": TEMPLATE.format(name="Json")}
JSON_VALUE: Schema = {
    "description": "Any JSON; what has more than 64 bits must be written with a point or an exponent.",
    "anyOf": [
        {"type": ["null", "boolean", "string"]},
        {"type": "integer", "minimum": INTEGERS.start, "maximum": INTEGERS.stop - 1},
        {"type": "number"},
        {"type": "array", "items": _JSON},
        {"type": "object", "additionalProperties": _JSON},
    ],
}
PAYLOADS = {"Task": "data", "Submission": "data"}
"""what `check_payload` checks: by the struct's name, the field's"""


def schemas_of(types: Iterable[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """(the schema of each type, the components that these refer to)."""
    found, components = msgspec.json.schema_components(types, ref_template=TEMPLATE)
    for kind in _structs(Struct):
        properties = components.get(kind.__name__, {}).get("properties", {})
        if {field.encode_name for field in fields(kind)} <= properties.keys():
            for name, note in _notes(kind).items():
                properties[name]["description"] = note
    for name in PAYLOADS.keys() & components.keys():
        components[name]["properties"][PAYLOADS[name]]["additionalProperties"] = _JSON
        components["Json"] = JSON_VALUE
    return [_published(each) for each in found], _published(components)


def reference(kind: type[Struct]) -> Schema:
    """How to refer to a component."""
    return {"$ref": TEMPLATE.format(name=kind.__name__)}


def _published(value: Any) -> Any:
    """The same with patterns as ECMA-262 has them: no `\\Z`, and of surrogates no word, for JSON has none."""
    if isinstance(value, dict):
        if "$ref" in value and "anyOf" in value:  # which many a reader would not see side by side
            value = {key: each for key, each in value.items() if key != "$ref"} | {
                "allOf": [{"$ref": value["$ref"]}]
            }
        return {
            key: _ecma(each) if key == "pattern" and isinstance(each, str) else _published(each)
            for key, each in value.items()
        }
    return [_published(each) for each in value] if isinstance(value, list | tuple) else value


def _ecma(pattern: str) -> str:
    return pattern.replace(r"\Z", "$").replace(r"\ud800-\udfff", "")


def _structs(kind: type[Struct]) -> Iterator[type[Struct]]:
    for each in kind.__subclasses__():
        yield each
        yield from _structs(each)


def _notes(kind: type[Struct]) -> dict[str, str]:
    """The sentence below each field, by the field's name in JSON."""
    said: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each.__module__.partition(".")[0] in ("rpn", "gateway"):
            said |= _said_in(each.__module__).get(each.__name__, {})
    return {field.encode_name: said[field.name] for field in fields(kind) if field.name in said}


@cache
def _said_in(module: str) -> dict[str, dict[str, str]]:
    """What a module's classes say below their fields."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {each.name: dict(_said(each)) for each in tree.body if isinstance(each, ast.ClassDef)}


def _said(kind: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, note in pairwise(kind.body):
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr):
            yield ast.unparse(field.target), inspect.cleandoc(ast.literal_eval(note.value))
