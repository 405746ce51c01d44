"""What API.md's objects look like to the letter: their keys, and the type of each value."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

Number = (int, float)

RESOURCES = {
    "cpuUsage": Number,
    "cpuAvailable": Number,
    "cpuCores": Number,
    "memoryUsage": Number,
    "memoryAvailable": Number,
    "memoryTotal": Number,
    "storageUsage": Number,
    "storageAvailable": Number,
    "storageTotal": Number,
    "hasGPU": bool,
    "gpuName": (str, type(None)),
    "gpuUsage": (int, float, type(None)),
}
DEVICE = {
    "id": str,
    "name": str,
    "platform": str,
    "ipAddress": str,
    "lastSeen": str,
    "isOnline": bool,
    "resources": dict,
}
POOL = {
    "totalCpuAvailable": Number,
    "totalCpuCores": Number,
    "totalMemoryAvailable": Number,
    "totalStorageAvailable": Number,
    "totalGPUs": int,
    "devices": int,
}
REQUIREMENTS = {"cpu": Number, "memory": Number, "storage": Number, "gpu": bool}
SHARE = {
    "deviceId": str,
    "deviceName": str,
    "allocatedCpu": int,
    "allocatedMemory": int,
    "allocatedStorage": int,
    "allocatedGpu": bool,
}
ALLOCATION = {
    "id": str,
    "requestingDevice": str,
    "timestamp": str,
    "requirements": dict,
    "fulfilled": bool,
    "allocatedDevices": list,
}
MESSAGES: dict[str, dict[str, Any]] = {
    "devices": {"devices": list},
    "device_joined": {"device": dict},
    "device_left": {"deviceId": str},
    "resource_update": {"deviceId": str, "resources": dict},
    "resource_allocation": {"allocation": dict},
    "task_result": {"taskId": str, "result": dict},
    "error": {"error": str, "code": str},
}
"""All that a plain client may ever hear: API.md's messages, and `error`."""


def check(value: Any, shape: dict[str, Any], *, optional: frozenset[str] = frozenset()) -> None:
    """`value` has the keys of `shape`, no others, and each is of its type."""
    assert isinstance(value, dict), value
    assert value.keys() - optional == shape.keys(), value
    for key, kind in shape.items():
        assert isinstance(value[key], kind), (key, value)
        assert kind is bool or not isinstance(value[key], bool), (key, value)


def check_moment(text: str, *, within_s: float | None = None) -> None:
    """An instant as API.md writes it, and, if asked, one not far from now."""
    assert TIMESTAMP.match(text), text
    if within_s is not None:
        age_s = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
        assert abs(age_s) <= within_s, text


def check_device(device: Any) -> None:
    check(device, DEVICE)
    check_moment(device["lastSeen"])
    check(device["resources"], RESOURCES)


def check_allocation(allocation: Any) -> None:
    check(allocation, ALLOCATION)
    check_moment(allocation["timestamp"])
    check(allocation["requirements"], REQUIREMENTS)
    for share in allocation["allocatedDevices"]:
        check(share, SHARE)
    assert allocation["fulfilled"] == bool(allocation["allocatedDevices"]), allocation


def check_result(result: Any) -> None:
    if result.get("success") is True:
        assert result.keys() == {"success", "result"}, result
    else:
        check(result, {"success": bool, "error": str, "code": str})
        assert result["error"], result
        assert result["code"], result


def check_message(message: dict[str, Any]) -> None:
    """A message that a plain client may hear, inside and out."""
    kind = message.get("type")
    assert kind in MESSAGES, f"not in API.md: {message}"
    content = {key: value for key, value in message.items() if key != "type"}
    check(content, MESSAGES[kind], optional=frozenset({"requestId"}))
    assert isinstance(message.get("requestId", ""), str), message
    match kind:
        case "devices":
            for device in message["devices"]:
                check_device(device)
        case "device_joined":
            check_device(message["device"])
        case "resource_update":
            check(message["resources"], RESOURCES)
        case "resource_allocation":
            check_allocation(message["allocation"])
        case "task_result":
            check_result(message["result"])
        case "error":
            assert message["error"], message
            assert re.fullmatch(r"[A-Z][A-Z_]*", message["code"]), message
