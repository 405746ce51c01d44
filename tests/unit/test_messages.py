"""The protocol's schema: API.md's own words are taken and said to the letter."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from rpn import codec, messages, model
from rpn.messages import FromClient, FromServer, Register, ResourceChanged, TaskSubmit
from tests.support import make

RESOURCES = {
    "cpuUsage": 45.5,
    "cpuAvailable": 54.5,
    "cpuCores": 8,
    "memoryUsage": 8192,
    "memoryAvailable": 8192,
    "memoryTotal": 16384,
    "storageUsage": 512000,
    "storageAvailable": 488000,
    "storageTotal": 1000000,
    "hasGPU": True,
    "gpuName": "NVIDIA RTX 3080",
    "gpuUsage": 30.0,
}
REQUIREMENTS = {"cpu": 100, "memory": 4096, "storage": 10000, "gpu": True}
TASK = {
    "id": "task-uuid",
    "type": "compute",
    "submitterId": "unique-device-id",
    "requirements": {"cpu": 100, "memory": 4096, "storage": 1000, "gpu": False},
    "data": {"command": "process-data", "input": "..."},
}
API_MD: list[dict[str, Any]] = [
    {"type": "register", "deviceId": "unique-device-id", "deviceName": "My Laptop", "platform": "macos"},
    {"type": "heartbeat", "deviceId": "unique-device-id"},
    {"type": "resource_update", "deviceId": "unique-device-id", "resources": RESOURCES},
    {"type": "resource_request", "deviceId": "unique-device-id", "requirements": REQUIREMENTS},
    {"type": "task_submit", "task": TASK},
]
SAID_BY_CLIENTS = [
    "register",
    "heartbeat",
    "resource_update",
    "resource_request",
    "task_submit",
    "observe",
    "ping",
    "allocation_renew",
    "resource_release",
    "task_cancel",
    "task_started",
    "task_progress",
    "task_done",
    "ack",
]


def tag(kind: type[messages.Message]) -> object:
    return kind.__struct_config__.tag


@pytest.mark.parametrize("said", API_MD, ids=lambda said: said["type"])
def test_what_api_md_shows_is_understood(said: dict[str, Any]) -> None:
    message = codec.decode_from_client(json.dumps(said))
    assert isinstance(message, messages.Message)
    assert tag(type(message)) == said["type"]


def test_every_message_of_a_client_has_its_word() -> None:
    assert [tag(kind) for kind in get_args(FromClient)] == SAID_BY_CLIENTS


def test_a_measurement_is_relayed_with_exactly_the_keys_of_api_md() -> None:
    resources = msgspec.convert(RESOURCES, model.Resources)
    said = json.loads(codec.encode(ResourceChanged(device_id="a", resources=resources)))
    assert said == {"type": "resource_update", "deviceId": "a", "resources": RESOURCES}


def test_a_device_that_reported_nothing_shows_zeros_and_no_gpu() -> None:
    shown = json.loads(codec.encode(model.NO_RESOURCES))
    assert list(shown) == list(RESOURCES)
    assert (shown.pop("gpuName"), shown.pop("gpuUsage"), shown.pop("hasGPU")) == (None, None, False)
    assert set(shown.values()) == {0}


def test_unknown_fields_are_dropped() -> None:
    said = {**API_MD[2], "mood": "good", "resources": {**RESOURCES, "humidity": 3}}
    message = codec.decode_from_client(json.dumps(said))
    assert b"mood" not in codec.encode(message)
    assert b"humidity" not in codec.encode(message)


def test_everything_beyond_api_md_is_opt_in() -> None:
    assert make.register() == Register(
        device_id="a", device_name="A", platform="linux", accepts=frozenset(), receives="all", running=None
    )


def test_a_task_without_requirements_needs_nothing() -> None:
    said = {"type": "task_submit", "task": {"id": "t", "type": "compute", "submitterId": "a"}}
    message = codec.decode_from_client(json.dumps(said))
    assert isinstance(message, TaskSubmit)
    assert message.task.requirements.nothing


def test_a_result_is_one_of_two_outcomes() -> None:
    assert model.TaskResult(True, result=3).outcome == model.Success(3)
    assert model.TaskResult(False, error="no", code="OOM").outcome == model.Failure("no", "OOM")
    assert model.TaskResult(False).outcome == model.Failure("the task failed", "EXIT")


@pytest.mark.parametrize("kind", get_args(FromServer), ids=lambda kind: str(tag(kind)))
def test_the_word_opens_every_message_of_the_server(kind: type[messages.Message]) -> None:
    """The relay tells messages apart by how they open, without decoding them."""
    assert kind.__struct_fields__
    required = dict.fromkeys(kind.__struct_fields__)
    assert codec.encode(kind(**required)).startswith(f'{{"type":"{tag(kind)}"'.encode())
