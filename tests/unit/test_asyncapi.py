"""/asyncapi.json: every message there is, and every message that the documents show."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway.asyncapi import asyncapi, tag_of
from rpn import codec
from rpn.errors import BadMessage, BadRequirements
from rpn.messages import FromClient, FromServer
from tests.support.contract import Contract

ROOT = Path(__file__).parents[2]
CONTRACT = "RPN_API_MD"
"""Path of API.md, which is not part of the repository."""
DOCUMENT: dict[str, Any] = msgspec.to_builtins(asyncapi(guarded=False))
WAYS = {"receive": get_args(FromClient), "send": get_args(FromServer)}

contract = Contract(DOCUMENT)


def shown(text: str) -> Iterator[Any]:
    """Every JSON value in the blocks of a document."""
    decoder = json.JSONDecoder()
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        rest = re.sub(r"\s+//.*", "", block).strip()
        while rest:
            value, end = decoder.raw_decode(rest)
            yield value
            rest = rest[end:].strip()


def protocol(heading: str) -> list[Any]:
    """What docs/protocol.md shows below a heading."""
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    section = text[text.index(f"\n#### {heading}\n") :].lstrip("\n#")
    return list(shown(section[: section.index("\n#")]))


@pytest.mark.parametrize("way", WAYS)
def test_every_message_is_described_by_its_struct(way: str) -> None:
    described = {(each["title"], each["name"]) for each in contract.messages(way) if "name" in each}
    assert described == {(kind.__name__, tag_of(kind)) for kind in WAYS[way]}


def test_its_schemas_are_schemas_and_refer_to_what_is_there() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for reference in set(re.findall(r'"\$ref":"([^"]+)"', msgspec.json.encode(DOCUMENT).decode())):
        contract.resolved(reference)


def test_what_the_protocol_shows_clients_say_is_valid_and_understood() -> None:
    examples = protocol("What clients say")
    for message in examples:
        contract.check_said(message)
        codec.decode_from_client(json.dumps(message))
    assert {message["type"] for message in examples} == {tag_of(kind) for kind in WAYS["receive"]}


def test_what_the_protocol_shows_clients_hear_is_valid_and_understood() -> None:
    examples = protocol("What clients hear")
    for message in examples:
        contract.check_heard(message)
        codec.decode_from_server(json.dumps(message))
    assert {message["type"] for message in examples} == {tag_of(kind) for kind in WAYS["send"]}


def test_what_the_readme_shows_clients_say_is_valid() -> None:
    messages = [each for each in shown((ROOT / "README.md").read_text(encoding="utf-8")) if "type" in each]
    assert len(messages) >= 3
    for message in messages:
        contract.check_said(message)


@pytest.mark.skipif(CONTRACT not in os.environ, reason=f"{CONTRACT} does not name a copy of API.md")
def test_every_message_of_api_md_is_valid_in_its_direction() -> None:
    said, heard = api_md()
    assert {message["type"] for message in said} >= {"register", "heartbeat", "task_submit"}
    assert {message["type"] for message in heard} >= {"devices", "device_left", "task_result"}
    for message in said:
        contract.check_said(message)
    for message in heard:
        contract.check_heard(message)


def api_md() -> tuple[list[Any], list[Any]]:
    """(what clients say, what they hear) in API.md; what it leaves out as `...` stands elsewhere in it."""
    text = Path(os.environ[CONTRACT]).read_text(encoding="utf-8")
    device = next(shown(text[text.index("### GET /api/devices") :]))["devices"][0]
    left_out = {
        '"resources": {...}': {"resources": device["resources"]},
        '"requirements": {...}': {
            "requirements": {"cpu": 100, "memory": 4096, "storage": 10000, "gpu": True}
        },
        '"devices": [...]': {"devices": [device]},
    }
    for placeholder, value in left_out.items():
        text = text.replace(placeholder, json.dumps(value)[1:-1])
    sockets = text[text.index("## WebSocket API") : text.index("## Example Client")]
    up, down = sockets.split("### Server Messages")
    answers = re.findall(r"\*\*Server Response:\*\*\s*```json\n.*?```", up, re.DOTALL)
    asked = re.sub(r"\*\*Server Response:\*\*\s*```json\n.*?```", "", up, flags=re.DOTALL)
    heard = [*shown("\n".join(answers)), *shown(down.split("## Resource Requirements")[0])]
    return list(shown(asked)), heard


@pytest.mark.parametrize(
    "message",
    [
        {"type": "heartbeat"},
        {"type": "heartbeat", "deviceId": "a\u202eb"},
        {"type": "resource_request", "deviceId": "a", "requirements": {"cpu": -1}},
        {"type": "register", "deviceId": "a", "deviceName": "a", "platform": "linux", "accepts": ["all"]},
        {"type": "allocation_renew", "allocationId": "x", "ttl": 0},
    ],
    ids=str,
)
def test_what_the_gateway_refuses_is_invalid(message: Any) -> None:
    with pytest.raises(BadMessage if "requirements" not in message else BadRequirements):
        codec.decode_from_client(json.dumps(message))
    with pytest.raises(AssertionError):
        contract.check_said(message)


def test_where_tokens_are_asked_for_it_says_so() -> None:
    for operation in asyncapi(guarded=True)["operations"].values():
        assert operation["security"] == [{"$ref": "#/components/securitySchemes/bearer"}]
