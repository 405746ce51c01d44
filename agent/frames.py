"""What the agent and its warm workers say to each other: a frame is four bytes of length and msgpack."""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec
from msgspec import Struct

FRAME_LIMIT = 512 * 2**20
"""bytes; a compiled module is the largest thing that is sent"""
OUTPUT_LIMIT_KIB = 256
"""what a call or a program may answer"""
UNFIT = "UNFIT"
"""the code of a reply: this machine code does not fit here, send the module itself"""
HEAD = struct.Struct(">I")


class BuiltinCall(Struct, tag="builtin"):
    """Run a built-in on an input, which is JSON; so is what it answers."""

    name: str
    given: bytes


class WasmCall(Struct, tag="wasm"):
    """Run a module: `code` or `compiled` come with the first call of it in this worker."""

    module: str
    given: bytes
    args: list[str]
    memory_mb: float
    deadline_s: float
    code: bytes = b""
    compiled: bytes = b""


class PythonCall(Struct, tag="python"):
    """Call a pickled (function, args, kwargs)."""

    pickled: bytes


Call = BuiltinCall | WasmCall | PythonCall


class Reply(Struct, omit_defaults=True):
    """How a call ended: with an `output`, or with a `code` and an `error`."""

    output: bytes = b""
    code: str = ""
    error: str = ""
    exception: bytes = b""
    """what a Python function raised, pickled"""
    compiled: bytes = b""
    """the module as machine code, from the worker that compiled it"""
    stale: bool = False
    """something of the call is left in this worker: it must not be used again"""
    cpu_s: float = 0.0
    """what the worker has used of the processors since it began"""


class Hello(Struct):
    """A worker is ready."""

    wasmtime: str = ""
    """the version it runs modules with; machine code is good for that one alone"""
    cpu_s: float = 0.0
    """as in a reply"""


encode = msgspec.msgpack.Encoder().encode
calls = msgspec.msgpack.Decoder(Call)
replies = msgspec.msgpack.Decoder(Reply)
hellos = msgspec.msgpack.Decoder(Hello)


def framed(message: Call | Reply | Hello) -> bytes:
    body = encode(message)
    return HEAD.pack(len(body)) + body


def read(stream: BinaryIO) -> bytes | None:
    """The next frame's body; None at the end."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    (length,) = HEAD.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


class Splitter:
    """Cuts what arrives into frames. Raises ValueError for one that is too large."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now."""
        self._waiting += data
        bodies: list[bytes] = []
        while len(self._waiting) >= HEAD.size:
            (length,) = HEAD.unpack_from(self._waiting)
            if length > FRAME_LIMIT:
                raise ValueError("a frame is too large")
            if len(self._waiting) < HEAD.size + length:
                break
            bodies.append(bytes(self._waiting[HEAD.size : HEAD.size + length]))
            del self._waiting[: HEAD.size + length]
        return bodies
