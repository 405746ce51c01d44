"""Decoding is validation: what comes in is a typed message, or an error with a code."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpn import codec
from rpn.errors import BadMessage, BadRequirements
from rpn.messages import (
    Ack,
    Acked,
    Error,
    FromClient,
    Heartbeat,
    Message,
    Register,
    ResourceRequest,
    ResourceUpdate,
    TaskSubmit,
)
from rpn.model import LARGEST, Requirements, Resources, Task

RESOURCES = {
    **dict.fromkeys(("cpuUsage", "cpuAvailable", "cpuCores", "memoryUsage", "memoryAvailable"), 1),
    **dict.fromkeys(("memoryTotal", "storageUsage", "storageAvailable", "storageTotal"), 1),
    "hasGPU": False,
}


def heartbeat(device_id: str) -> str:
    return json.dumps({"type": "heartbeat", "deviceId": device_id}, ensure_ascii=False)


def update(**changed: Any) -> str:
    return json.dumps({"type": "resource_update", "deviceId": "a", "resources": {**RESOURCES, **changed}})


def raw_update(cpu_usage: str) -> str:
    return update(cpuUsage="HERE").replace('"HERE"', cpu_usage)


def request(requirements: Any) -> str:
    return json.dumps({"type": "resource_request", "deviceId": "a", "requirements": requirements})


def submit(**changed: Any) -> str:
    task = {"id": "t", "type": "compute", "submitterId": "a", **changed}
    return json.dumps({"type": "task_submit", "task": task})


def nested(depth: int) -> str:
    return submit(data={"input": "HERE"}).replace('"HERE"', "[" * depth + "]" * depth)


MALFORMED: dict[str, str | bytes] = {
    "nothing": b"",
    "white space": " \n",
    "not JSON": "hello",
    "half an object": '{"type":"heartbeat"',
    "two objects": heartbeat("a") * 2,
    "a byte order mark": b"\xef\xbb\xbf{}",
    "null": "null",
    "a number": "7",
    "a string": '"heartbeat"',
    "an empty list": "[]",
    "a list of junk": '[1, "two", null]',
    "a list in a list": f"[[{heartbeat('a')}]]",
    "one of a list": f"[{heartbeat('a')},{heartbeat('')}]",
    "no type": '{"deviceId":"a"}',
    "an unknown type": '{"type":"shout","deviceId":"a"}',
    "a list as type": '{"type":["heartbeat"],"deviceId":"a"}',
    "a type of the server": '{"type":"device_left","deviceId":"a"}',
    "a number as id": '{"type":"heartbeat","deviceId":7}',
    "null as id": '{"type":"heartbeat","deviceId":null}',
    "no id": '{"type":"heartbeat"}',
    "an empty id": heartbeat(""),
    "129 characters": heartbeat("x" * 129),
    "a control character": heartbeat("a\x00"),
    "a new line at the end": heartbeat("a\n"),
    "a control character of Latin-1": heartbeat("a\x9f"),
    "a mark that turns the text": heartbeat("\u202egnp.exe"),
    "an isolating mark": heartbeat("a\u2066"),
    "half a surrogate pair": b'{"type":"heartbeat","deviceId":"\\ud800"}',
    "a surrogate in UTF-8": b'{"type":"heartbeat","deviceId":"\xed\xa0\x80"}',
    "not UTF-8": b'{"type":"heartbeat","deviceId":"\xff"}',
    "NaN": raw_update("NaN"),
    "infinity": raw_update("Infinity"),
    "1e999": raw_update("1e999"),
    "4,000 digits": raw_update("9" * 4000),
    "5,000 digits": raw_update("9" * 5000),
    "5,000 digits in a task": submit(data={"input": "HERE"}).replace('"HERE"', "9" * 5000),
    "one too many": raw_update(str(LARGEST + 1)),
    "negative": update(cpuAvailable=-1),
    "a little negative": update(cpuAvailable=-0.001),
    "a bool for a number": update(cpuCores=True),
    "a number for a bool": update(hasGPU=1),
    "a string for a number": update(memoryTotal="16384"),
    "a missing amount": update().replace('"cpuCores"', '"cores"'),
    "an endless GPU name": update(gpuName="x" * 257),
    "resources that are a list": '{"type":"resource_update","deviceId":"a","resources":[]}',
    "resources that are missing": '{"type":"resource_update","deviceId":"a"}',
    "requirements that are missing": '{"type":"resource_request","deviceId":"a"}',
    "a task that is a string": '{"type":"task_submit","task":"echo"}',
    "a task's data as a list": submit(data=[]),
    "no time at all": submit(timeout=0),
    "a year": submit(timeout=365 * 86400),
    "an unknown wish": '{"type":"register","deviceId":"a","deviceName":"A","platform":"p","accepts":["all"]}',
    "nested deeply": nested(100_000),
    "nested and never closed": "[" * 100_000,
    "nested objects": '{"a":' * 100_000,
}
BAD_REQUIREMENTS: dict[str, Any] = {
    "null": None,
    "a list": [],
    "a negative amount": {"cpu": -1},
    "a bool": {"memory": True},
    "a string": {"cpu": "100"},
    "a number as GPU": {"gpu": 1},
    "too much of it": {"storage": LARGEST * 2},
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_anything_else_is_refused(data: str | bytes) -> None:
    with pytest.raises(BadMessage):
        codec.decode_from_client(data)


@pytest.mark.parametrize("requirements", BAD_REQUIREMENTS.values(), ids=BAD_REQUIREMENTS)
@pytest.mark.parametrize("said", [request, lambda value: submit(requirements=value)], ids=["request", "task"])
@pytest.mark.parametrize("frame", ["{}", "[{}]"], ids=["alone", "in a list"])
def test_wrong_requirements_are_called_that(requirements: Any, said: Any, frame: str) -> None:
    with pytest.raises(BadRequirements) as caught:
        codec.decode_from_client(frame.replace("{}", said(requirements)))
    assert caught.value.code == "BAD_REQUIREMENTS"


def test_an_id_that_speaks_of_requirements_is_still_only_a_bad_message() -> None:
    with pytest.raises(BadMessage):
        codec.decode_from_client('{"type":"heartbeat","requirements":7}')


@pytest.mark.parametrize("name", ["x", "x" * 128, "Müllers Rechner", "😀" * 128, "a b:c/d%3A", "\u200f"])
def test_other_names_are_taken(name: str) -> None:
    assert codec.decode_from_client(heartbeat(name)) == Heartbeat(device_id=name)


def test_ints_stay_ints_and_floats_floats() -> None:
    message = codec.decode_from_client(update(cpuCores=8, memoryTotal=16384.0, cpuUsage=45.5))
    assert isinstance(message, ResourceUpdate)
    found = message.resources
    assert (type(found.cpu_cores), type(found.memory_total)) == (int, float)
    assert b'"cpuCores":8,' in codec.encode(message)
    assert b'"memoryTotal":16384.0,' in codec.encode(message)


def test_only_the_shape_of_a_request_id_decides_whether_it_comes_back() -> None:
    assert codec.request_id_of('{"type":"shout","requestId":"r1"}') == "r1"
    refused: list[str | bytes] = [
        "",
        "[]",
        '{"requestId":7}',
        '{"requestId":"' + "x" * 129 + '"}',
        "[" * 100_000,
        b"\xff",
    ]
    assert [codec.request_id_of(data) for data in refused] == [None] * len(refused)


def test_several_messages_make_one_frame_and_one_stays_alone() -> None:
    beats: list[Message] = [Heartbeat(device_id="a"), Heartbeat(device_id="b")]
    assert codec.decode_from_client(codec.encode_all(beats)) == beats
    assert codec.decode_from_client(codec.encode_all(beats[:1])) == beats[0]


def test_a_client_understands_what_the_server_says() -> None:
    said: list[Message] = [Acked(ids=["1"]), Error(error="no", code="NO", request_id="r")]
    assert codec.decode_from_server(codec.encode_all(said)) == said
    with pytest.raises(BadMessage):
        codec.decode_from_server(b'{"type":"shout"}')


amounts = st.integers(0, LARGEST) | st.floats(0, LARGEST, allow_nan=False)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128).filter(
    lambda name: not any(0x202A <= ord(c) <= 0x202E or 0x2066 <= ord(c) <= 0x2069 for c in name)
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
requirements = st.builds(Requirements, amounts, amounts, amounts, st.booleans())
some_resources = st.builds(
    Resources,
    *[amounts] * 9,
    has_gpu=st.booleans(),
    gpu_name=st.none() | names,
    gpu_usage=st.none() | amounts,
)
tasks = st.builds(
    Task,
    id=names,
    type=names,
    submitter_id=names,
    requirements=requirements,
    data=st.dictionaries(names, json_values, max_size=3),
    priority=st.integers(-100, 100),
    retries=st.none() | st.integers(0, 100),
)
request_ids = st.none() | names
said = st.one_of(
    st.builds(Heartbeat, device_id=names, request_id=request_ids),
    st.builds(ResourceUpdate, device_id=names, resources=some_resources, request_id=request_ids),
    st.builds(ResourceRequest, device_id=names, requirements=requirements, request_id=request_ids),
    st.builds(TaskSubmit, task=tasks, request_id=request_ids),
    st.builds(Ack, ids=st.lists(names, max_size=4), request_id=request_ids),
    st.builds(
        Register,
        device_id=names,
        device_name=names,
        platform=names,
        labels=st.dictionaries(names, names, max_size=3),
        accepts=st.frozensets(st.sampled_from(["tasks", "events", "acks"])),
        receives=st.sampled_from(["all", "none"]),
    ),
)


@settings(max_examples=50)
@given(said)
def test_what_is_said_is_understood_as_it_was_meant(message: FromClient) -> None:
    understood = codec.decode_from_client(codec.encode(message))
    assert understood == message
    assert shown(understood) == shown(message), "an int stays an int, a float a float"


def shown(message: object) -> str:
    """How it prints; a set in one order, whatever order its making left."""
    accepts = getattr(message, "accepts", None)
    return repr(message).replace(repr(accepts), repr(sorted(accepts))) if accepts else repr(message)


@settings(max_examples=50)
@given(tasks)
def test_a_task_is_kept_as_it_came(task: Task) -> None:
    assert codec.unpack_record(Task, codec.pack_record(task)) == task


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_noise_is_refused_and_does_no_harm(data: str | bytes) -> None:
    with pytest.raises(BadMessage):
        codec.decode_from_client(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))


@settings(max_examples=50)
@given(st.recursive(st.binary() | st.integers(-(2**63), 2**64 - 1), lambda inner: st.lists(inner).map(tuple)))
def test_plain_records_come_back_as_tuples_and_bytes(value: Any) -> None:
    assert codec.unpack(codec.pack(value)) == value


def test_a_record_has_no_type_that_lua_does_not_know() -> None:
    assert codec.pack([b"a" * 40])[1] == 0xDA, "bytes are packed as a string"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """JSON has one kind of number, and there are languages that write 3.0 for 3."""
    task = {"id": "t", "type": "x", "submitterId": "a", "priority": 3.0, "data": {"input": [2.0, 2.5]}}
    decoded = codec.decode_body(Task, json.dumps(task).encode())
    assert (decoded.priority, decoded.data["input"]) == (3, [2, 2.5])
    message = codec.decode_from_client(json.dumps({"type": "task_submit", "task": task}))
    assert isinstance(message, TaskSubmit)
    assert message.task == decoded


@pytest.mark.parametrize("priority", [2.5, 1e300, [3.0]], ids=str)
def test_what_is_no_whole_number_is_none_with_a_point_either(priority: Any) -> None:
    task = {"id": "t", "type": "x", "submitterId": "a", "priority": priority, "retries": 1.0}
    with pytest.raises(BadMessage, match="priority"):
        codec.decode_body(Task, json.dumps(task).encode())
    with pytest.raises(BadMessage, match="priority"):
        codec.decode_from_client(json.dumps({"type": "task_submit", "task": task}))


def test_a_deep_nest_beside_such_a_number_is_an_error_as_any() -> None:
    depth = 900 if sys.version_info < (3, 12) else 5000  # what C reads and Python cannot walk through
    nest = "[" * depth + "]" * depth
    body = f'{{"id":"t","type":"x","submitterId":"a","priority":3.0,"data":{{"n":{nest}}}}}'
    with pytest.raises(BadMessage):
        codec.decode_body(Task, body.encode())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "nothing was sent: expected JSON"),
        (b" \n", "nothing was sent: expected JSON"),
        (b"foo", "not JSON, or it ends too early"),
        (b'{"id":"t"', "not JSON, or it ends too early"),
        (b'{"type":"\xff"}', "not UTF-8"),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        (b"nope", "JSON is malformed: invalid character (byte 4)"),
    ],
)
def test_what_is_no_json_is_told_in_words_of_those_who_sent_it(data: bytes, told: str) -> None:
    with pytest.raises(BadMessage) as refused:
        codec.decode_body(Task, data)
    assert str(refused.value) == told
    with pytest.raises(BadMessage) as refused:
        codec.decode_from_client(data)
    assert str(refused.value) == told
