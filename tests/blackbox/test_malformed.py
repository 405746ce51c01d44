"""Bad input: an error with a code within a second, nobody else notices, nothing has changed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import websocket

from tests.blackbox.conftest import Pool
from tests.support.cluster import call
from tests.support.patience import PATIENCE_S
from tests.support.ws import Client, about, resources, websocket_url

ME = "%ME%"
"""Stands for the sender's own id in the texts below."""


def said(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def update(**changes: Any) -> str:
    return said("resource_update", deviceId=ME, resources=resources(**changes))


def without(key: str) -> str:
    left = {name: value for name, value in resources().items() if name != key}
    return said("resource_update", deviceId=ME, resources=left)


def register(**changes: Any) -> str:
    return said("register", **{"deviceId": ME, "deviceName": "n", "platform": "p", **changes})


def task(**changes: Any) -> str:
    good = {"id": "t", "type": "compute", "submitterId": ME, "requirements": {"cpu": 1}, "data": {}}
    return said("task_submit", task={**good, **changes})


MALFORMED = {
    "empty": "",
    "blank": "   ",
    "not JSON": "hello",
    "half an object": '{"type":"heartbeat"',
    "two objects": said("heartbeat", deviceId=ME) * 2,
    "a number": "42",
    "null": "null",
    "a string": '"heartbeat"',
    "an empty list": "[]",
    "a list of junk": "[1, null, {}]",
    "an empty object": "{}",
    "no type": json.dumps({"deviceId": ME}),
    "a type that is no string": json.dumps({"type": 7, "deviceId": ME}),
    "an unknown type": said("shout", deviceId=ME),
    "a server's type": said("device_left", deviceId=ME),
    "heartbeat without an id": said("heartbeat"),
    "heartbeat with a number as id": said("heartbeat", deviceId=7),
    "heartbeat with null as id": said("heartbeat", deviceId=None),
    "update without resources": said("resource_update", deviceId=ME),
    "update with a list as resources": said("resource_update", deviceId=ME, resources=[]),
    "update without cpuUsage": without("cpuUsage"),
    "update without memoryTotal": without("memoryTotal"),
    "update without hasGPU": without("hasGPU"),
    "update with a negative number": update(memoryUsage=-1),
    "update with a text as number": update(cpuCores="8"),
    "update with true as number": update(cpuUsage=True),
    "update with null as number": update(storageTotal=None),
    "update with a number as hasGPU": update(hasGPU=1),
    "update with a number as gpuName": update(gpuName=3080),
    "update with NaN": update(cpuUsage=float("nan")),
    "update with Infinity": update(cpuUsage=float("inf")),
    "update with 1e999": update(cpuUsage=777).replace("777", "1e999"),
    "update with 4000 digits": update(cpuUsage=777).replace("777", "9" * 4000),
    "update with 2 to the 80": update(memoryTotal=2**80),
    "a name with a lone surrogate": register(deviceName="\ud800"),
    "a name with a NUL": register(deviceName="a\x00b"),
    "a name with an escape": register(deviceName="\x1b[2J"),
    "a name with a newline": register(deviceName="a\n"),
    "a name with a bidi override": register(deviceName="a\u202eb"),
    "a name with a bidi isolate": register(deviceName="a\u2066b"),
    "an empty name": register(deviceName=""),
    "a name of 129 characters": register(deviceName="x" * 129),
    "no platform": json.dumps({"type": "register", "deviceId": ME, "deviceName": "n"}),
    "an empty id": register(deviceId=""),
    "an id of 129 characters": register(deviceId="x" * 129),
    "an id with a control character": register(deviceId="a\x07"),
    "an unknown opt-in": register(accepts=["everything"]),
    "deep nesting": "[" * 100_000,
    "deep nesting in a task": task(data={"x": 777}).replace("777", "[" * 50_000 + "]" * 50_000),
    "request without requirements": said("resource_request", deviceId=ME),
    "a task without an id": json.dumps(
        {"type": "task_submit", "task": {"type": "compute", "submitterId": ME}}
    ),
    "a task that is a text": said("task_submit", task="compute"),
    "a task with a text as data": task(data="rm -rf /"),
    "a task with a huge priority": task(priority=10**9),
}
IMPERSONATING = {
    "heartbeat": said("heartbeat", deviceId="somebody-else"),
    "update": said("resource_update", deviceId="somebody-else", resources=resources()),
    "request": said("resource_request", deviceId="somebody-else", requirements={"cpu": 1}),
    "task": task(submitterId="somebody-else"),
    "register": register(deviceId="somebody-else"),
}


def refused(pool: Pool, text: str, code: str | None = None) -> None:
    """Say `text`: the sender hears why not and is as before, a witness hears nothing."""
    witness = pool.join()
    sender = pool.offer(witness)
    before = pool.device(sender.device_id, sender.base_url)
    witness.forget()
    heard_before = len(witness.heard)
    sender.send_raw(text.replace(ME, sender.device_id))
    sender.expect_error(code)
    assert before is not None
    now = pool.device(sender.device_id, sender.base_url)
    assert now is not None
    assert now | {"lastSeen": ""} == before | {"lastSeen": ""}
    _still_works(sender, witness)
    new = [message for message in witness.heard[heard_before:] if message["type"] != "devices"]
    assert [message["type"] for message in new if sender.device_id in str(message)] == ["resource_update"]
    assert len(sender.of_kind("error")) == 1


def _still_works(sender: Client, witness: Client) -> None:
    sender.update(resources(cpuUsage=61.5))
    for client in (sender, witness):
        heard = client.expect("resource_update", about(sender.device_id))
        assert heard["resources"]["cpuUsage"] == 61.5


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_message_is_refused_and_changes_nothing(pool: Pool, text: str) -> None:
    refused(pool, text)


@pytest.mark.across
@pytest.mark.parametrize("text", IMPERSONATING.values(), ids=IMPERSONATING.keys())
def test_nobody_speaks_in_another_name(pool: Pool, text: str) -> None:
    refused(pool, text, "WRONG_DEVICE")


@pytest.mark.parametrize(
    "text",
    [
        said("task_started", taskId="t", attempt="1"),
        said("task_done", taskId="t", attempt="1", result={"success": True}),
    ],
    ids=["task_started", "task_done"],
)
def test_an_extension_needs_an_opt_in(pool: Pool, text: str) -> None:
    refused(pool, text, "NOT_ACCEPTED")


@pytest.mark.parametrize(
    "text",
    [
        said("heartbeat", deviceId=ME),
        update(),
        task(),
        said("resource_request", deviceId=ME, requirements={"cpu": 1}),
    ],
    ids=["heartbeat", "update", "task", "request"],
)
def test_the_first_message_must_be_register(pool: Pool, text: str) -> None:
    stranger = pool.connect()
    stranger.send_raw(text.replace(ME, stranger.device_id))
    stranger.expect_error("NOT_REGISTERED")
    assert pool.device(stranger.device_id, stranger.base_url) is None
    stranger.register()


def test_an_error_names_the_request_it_is_about(pool: Pool) -> None:
    client = pool.join()
    client.send({"type": "heartbeat", "deviceId": "somebody-else", "requestId": "r-1"})
    error = client.expect_error("WRONG_DEVICE")
    assert error.keys() == {"type", "error", "code", "requestId"}
    assert error["requestId"] == "r-1"
    client.send({"type": "shout", "requestId": "r-2"})
    assert client.expect_error()["requestId"] == "r-2"
    client.send({"type": "shout"})
    assert client.expect_error().keys() == {"type", "error", "code"}


def test_a_binary_frame_closes_with_1003(pool: Pool) -> None:
    witness = pool.join()
    sender = pool.join()
    sender.send_raw(said("heartbeat", deviceId=sender.device_id).encode())
    assert sender.expect_close()[0] == 1003
    witness.update(resources())
    witness.expect("resource_update")


def test_text_that_is_not_utf8_closes_with_1007(pool: Pool) -> None:
    sender = pool.join()
    sender.send_bytes_as_text(b'{"type":"\xff\xfe"}')
    assert sender.expect_close()[0] == 1007


@pytest.mark.parametrize("size_mib", [2, pytest.param(64, id="64 MiB")])
def test_a_huge_message_closes_with_1009_and_nobody_else_notices(pool: Pool, size_mib: int) -> None:
    witness = pool.join()
    assert _close_code_after(said("heartbeat", deviceId="x" * (size_mib << 20)), pool.url) == 1009
    witness.update(resources(cpuUsage=3))
    witness.expect("resource_update", about(witness.device_id))
    assert call(f"{witness.base_url}/api/stats").status == 200


def _close_code_after(text: str, base_url: str) -> int:
    """What the server closes with when it need not read the whole of `text`."""
    frame_of_text = websocket.ABNF.create_frame(text, websocket.ABNF.OPCODE_TEXT).format()
    socket = websocket.create_connection(websocket_url(base_url), timeout=PATIENCE_S)
    with contextlib.closing(socket):
        with contextlib.suppress(OSError):
            assert socket.sock is not None
            socket.sock.sendall(frame_of_text)
        frame = socket.recv_frame()  # type: ignore[no-untyped-call]
        assert frame.opcode == websocket.ABNF.OPCODE_CLOSE, frame
        return int.from_bytes(frame.data[:2], "big")


def test_a_message_of_almost_1_mib_is_taken(pool: Pool) -> None:
    client = pool.join()
    client.send_raw(said("heartbeat", deviceId=client.device_id, padding="x" * ((1 << 20) - 200)))
    client.update(resources())
    client.expect("resource_update")
    assert not client.of_kind("error")


@pytest.mark.across
def test_the_51st_error_in_a_minute_closes_with_1008(pool: Pool) -> None:
    witness = pool.join()
    sender = pool.join()
    for _ in range(50):
        sender.send_raw("{")
        sender.expect_error("BAD_MESSAGE")
    sender.update(resources())
    sender.expect("resource_update")
    sender.send_raw("{")
    assert sender.expect_close()[0] == 1008
    witness.expect("device_left", about(sender.device_id))
