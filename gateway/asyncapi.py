"""Makes /asyncapi.json: AsyncAPI 3.0 of the WebSocket, from the messages that `rpn.messages` declares."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from msgspec import Meta

from gateway.openapi import JSON, SCHEME
from gateway.schemas import TEMPLATE, Schema, schemas_of
from rpn import __version__
from rpn.messages import FromClient, FromServer, Message

ABOUT = """One JSON message a text frame, at most 1 MiB. The first message of a connection is `register`
(be a device) or `observe` (watch). A client that accepts nothing at `register` gets `devices`,
`device_joined`, `device_left`, `resource_update`, `resource_allocation`, `task_result` and `error`, each
in a frame of its own; one that accepts something, and an observer, may get and send lists. A message that
is refused is answered with `error` and has changed nothing."""
COMPACT = "rpn.msgpack"
"""the subprotocol of the compact stream"""
SEVERAL: dict[str, tuple[str, Any]] = {
    "SeveralFromClient": (
        "Several messages at once.",
        Annotated[list[FromClient], Meta(min_length=1)],
    ),
    "SeveralFromServer": ("Several messages at once, to who opted in.", list[FromServer]),
}


def asyncapi(*, guarded: bool) -> Schema:
    """The document; `guarded`: tokens are asked for."""
    said, heard = get_args(FromClient), get_args(FromServer)
    lists, schemas = schemas_of([kind for _, kind in SEVERAL.values()])
    messages = {kind.__name__: _message(kind, schemas) for kind in (*said, *heard)}
    for (name, (summary, _)), payload in zip(SEVERAL.items(), lists, strict=True):
        messages[name] = {"summary": summary, "payload": _plain(payload)}
    messages["Compact"] = _COMPACT
    security = {"security": [{"$ref": "#/components/securitySchemes/bearer"}]} if guarded else {}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Resource Pooling Network", "version": __version__, "description": ABOUT},
        "defaultContentType": JSON,
        "channels": {
            "socket": {
                "address": "/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "hear": _operation("receive", "What clients say.", said, "SeveralFromClient") | security,
            "tell": _operation("send", "What the gateway says.", heard, "SeveralFromServer", "Compact")
            | security,
        },
        "components": {"messages": messages, "schemas": schemas, "securitySchemes": SCHEME},
    }


_COMPACT: Schema = {
    "contentType": "application/msgpack",
    "summary": f"What is broadcast, in a binary frame, to who offered the subprotocol {COMPACT}.",
    "payload": {"type": "array"},
}


def tag_of(kind: type[Message]) -> str:
    """The `type` that a message has on the wire."""
    return str(kind.__struct_config__.tag)


def _message(kind: type[Message], schemas: dict[str, Schema]) -> Schema:
    return {
        "name": tag_of(kind),
        "title": kind.__name__,
        "summary": schemas[kind.__name__]["description"],
        "payload": {"$ref": TEMPLATE.format(name=kind.__name__)},
    }


def _operation(action: str, summary: str, kinds: tuple[type[Message], ...], *more: str) -> Schema:
    names = [*(kind.__name__ for kind in kinds), *more]
    return {
        "action": action,
        "channel": {"$ref": "#/channels/socket"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/socket/messages/{name}"} for name in names],
    }


def _plain(payload: Schema) -> Schema:
    """A list of messages; what tells them apart is one word in AsyncAPI, a map in OpenAPI."""
    return payload | {"items": payload["items"] | {"discriminator": "type"}}
