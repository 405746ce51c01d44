"""What a task may name in its data: blobs, files, arguments; what looks hostile is refused here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from agent.config import Command

FILES_LIMIT = 256
"""files that a task may bring, and that it may take home"""

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")]
"""a file in the task's own folder: no path, nothing hidden, nothing that looks like an option"""
ArgValue = Annotated[str, Meta(max_length=256)]

_HOSTILE = re.compile(r"[\x00-\x1f\x7f-\x9f;&|<>`$\\\ud800-\udfff]|(^|/)\.\.(/|$)|^[-/~]|^[A-Za-z]:")
"""what no argument may have, whatever the pattern allows: we use no shell, but an owner's script may"""


class Blob(Struct, frozen=True, forbid_unknown_fields=True):
    """Content that waits at a gateway."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] = msgspec.field(name="blob")


class ComputeData(Struct, frozen=True):
    """The data of a `compute` task."""

    command: str
    input: Any = None
    args: Annotated[dict[str, ArgValue], Meta(max_length=64)] = {}
    files: Annotated[dict[FileName, Blob], Meta(max_length=FILES_LIMIT)] = {}
    outputs: Annotated[list[FileName], Meta(max_length=FILES_LIMIT)] = []


class WasmData(Struct, frozen=True):
    """The data of a `wasm` task."""

    module: Blob
    input: Any = None
    args: Annotated[
        list[Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00]*\Z")]], Meta(max_length=256)
    ] = []


class PythonData(Struct, frozen=True):
    """The data of a `python` task."""

    callable: str | Blob
    """cloudpickle of (function, args, kwargs), as base64 or as a blob"""


class Unwanted(Exception):
    """The data of a task that this device will not run; the text says why."""


D = TypeVar("D")


def read(kind: type[D], data: Mapping[str, Any]) -> D:
    """A task's data as what they should be. Raises Unwanted."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise Unwanted(f"data: {error}") from None


def content(given: Any, *, text: bool) -> bytes | Blob:
    """A task's input as what standard input gets, or the blob that it is in. Raises Unwanted."""
    if isinstance(given, dict) and given.keys() == {"blob"}:
        return read(Blob, given)
    if not text:
        return msgspec.json.encode(given)
    if given is None:
        return b""
    if not isinstance(given, str):
        raise Unwanted("data.input must be a text: this command takes no JSON")
    return given.encode("utf-8", "surrogatepass")


def argv_of(command: Command, args: Mapping[str, str]) -> list[str]:
    """The owner's argv with what the task may say in it. Raises Unwanted."""
    if args.keys() != command.args.keys():
        expected = ", ".join(command.args) or "none"
        raise Unwanted(f"data.args: this command takes {expected}")
    for name, value in args.items():
        if _HOSTILE.search(value) or not re.fullmatch(command.args[name], value):
            raise Unwanted(f"data.args.{name}: {value!r} is not what this device's owner allows")
    first, *rest = command.argv
    return [first, *(_filled(part, args) for part in rest)]


def _filled(part: str, args: Mapping[str, str]) -> str:
    """Each `{name}` once: what a value holds is not looked at again."""
    return re.sub(r"\{([a-z][a-z0-9_]*)\}", lambda found: args.get(found[1], found[0]), part)
