"""JSON for the WebSocket, msgpack for the store: decoding is validation.

Bytes that come in are typed messages or an error when they leave here. What stands in Redis
is a typed record (`pack_record`), or, where Lua reads it or it is opaque bytes passed on, plain
msgpack in the dialect Lua's cmsgpack reads (`pack`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, TypeVar

import msgpack
import msgspec

from rpn.errors import BadMessage, BadRequirements
from rpn.messages import FromClient, FromServer, Message
from rpn.model import LARGEST

T = TypeVar("T")

DEPTH_LIMIT = 100
"""lists and objects within each other in a task's data or result: everybody who reads it has a stack"""
INTEGERS = range(-(2**63), 2**64)
"""what the store's records can hold"""

_from_client: msgspec.json.Decoder[FromClient | list[FromClient]] = msgspec.json.Decoder(
    FromClient | Annotated[list[FromClient], msgspec.Meta(min_length=1)]
)
_from_server: msgspec.json.Decoder[FromServer | list[FromServer]] = msgspec.json.Decoder(
    FromServer | list[FromServer]
)
_json = msgspec.json.Encoder()
_record = msgspec.msgpack.Encoder()

encode = _json.encode
"""A message as the JSON bytes of one text frame."""

pack_record = _record.encode


_WHOLE = re.compile(r"Expected `int[^`]*`, got `float`")
"""that may be a whole number all the same, written as 3.0"""
_CUT_SHORT = "Input data was truncated"
"""msgspec's words, for `foo` too: it begins like `false`"""
_REQUIREMENTS = re.compile(r"at `\$(\[\d+\])?(\.task)?\.requirements")
"""where a validation error says it is, alone or in a list of messages"""


class _RequestId(msgspec.Struct, rename="camel"):
    request_id: str | None = None


_request_id = msgspec.json.Decoder(_RequestId)


def decode_from_client(data: str | bytes) -> FromClient | list[FromClient]:
    """One message, or the list of messages a client may put into one frame.

    Raises BadMessage, or BadRequirements when only the requirements are wrong.
    """
    try:
        return _from_client.decode(data)
    except msgspec.ValidationError as error:
        text = str(error)
        if _WHOLE.match(text) and (whole := _with_whole_numbers(data)):
            return decode_from_client(whole)
        if _REQUIREMENTS.search(text):
            raise BadRequirements(text) from None
        raise BadMessage(text) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(data, error) from None


def decode_body(kind: type[T], data: bytes) -> T:
    """The body of a REST request; raises BadMessage, or BadRequirements when only these are wrong."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        text = str(error)
        if _WHOLE.match(text) and (whole := _with_whole_numbers(data)):
            return decode_body(kind, whole)
        raise (BadRequirements if _REQUIREMENTS.search(text) else BadMessage)(text) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(data, error) from None


def _no_json(data: str | bytes, error: Exception) -> BadMessage:
    """What is wrong with `data`, in words of those who sent it."""
    if not data.strip():
        return BadMessage("nothing was sent: expected JSON")
    if isinstance(error, RecursionError):
        return BadMessage("nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return BadMessage("not UTF-8")
    text = str(error)
    return BadMessage("not JSON, or it ends too early" if text == _CUT_SHORT else text)


def _with_whole_numbers(data: str | bytes) -> bytes:
    """The same with 3 for 3.0: to JSON they are one, to msgspec they are not; empty where nothing changes."""
    try:
        value = msgspec.json.decode(data)
        before, after = encode(value), encode(_whole(value))
    except RecursionError:
        return b""
    return b"" if before == after else after


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST
    return int(value) if is_whole else value


def decode_from_server(data: str | bytes) -> FromServer | list[FromServer]:
    """What a gateway sent; raises BadMessage."""
    try:
        return _from_server.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(str(error)) from None


def encode_all(messages: list[Message]) -> bytes:
    """One frame for several messages: alone as it is, more as a JSON list."""
    return encode(messages[0] if len(messages) == 1 else messages)


def request_id_of(data: str | bytes) -> str | None:
    """The `requestId` of a message that was refused, if it can be read."""
    try:
        found = _request_id.decode(data).request_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found is not None and len(found) <= 128 else None


@cache
def _record_decoder(kind: Any) -> Any:
    return msgspec.msgpack.Decoder(kind)


def unpack_record(kind: type[T], data: bytes) -> T:
    """A record as `pack_record` packed it; fields added since have their defaults."""
    decoder: msgspec.msgpack.Decoder[T] = _record_decoder(kind)  # type: ignore[arg-type]
    return decoder.decode(data)


def pack(value: Any) -> bytes:
    """Plain msgpack without the `bin` type, which Lua's cmsgpack does not know."""
    return msgpack.packb(value, use_bin_type=False)  # type: ignore[no-any-return]


def unpack(data: bytes) -> Any:
    """The other way: arrays come as tuples, strings as bytes."""
    return msgpack.unpackb(data, raw=True, use_list=False, strict_map_key=False)


def storable(value: Any) -> bool:
    """Whether what a client sent as it liked can be kept, and read by everybody."""
    level = [value]
    for _ in range(DEPTH_LIMIT):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
            elif isinstance(each, int) and each not in INTEGERS:
                return False
        if not below:
            return True
        level = below
    return False
