"""Speak the API by hand, with nothing but `pip install websocket-client`: join, reserve, have a task run."""

import json
import uuid
from typing import Any

import websocket

ME = "my-device-1"
NOTHING = {"cpu": 0, "storage": 0, "gpu": False}

socket = websocket.create_connection("ws://127.0.0.1:3000/ws")


def say(kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def hear(kind: str) -> dict[str, Any]:
    """The next message of this kind; everybody's measurements pass by meanwhile."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv())
        if message["type"] == kind:
            return message


say("register", deviceId=ME, deviceName="My Laptop", platform="linux")
print("in the pool:", [device["name"] for device in hear("devices")["devices"]])

say("resource_request", deviceId=ME, requirements=NOTHING | {"memory": 256})
allocation = hear("resource_allocation")["allocation"]
print("reserved:", [share["deviceName"] for share in allocation["allocatedDevices"]])

task = {
    "id": str(uuid.uuid4()),
    "type": "compute",
    "submitterId": ME,
    "requirements": NOTHING | {"memory": 64},
}
say("task_submit", task=task | {"data": {"command": "primes", "input": {"n": 100_000}}})
print(hear("task_result")["result"])

socket.close()  # a clean goodbye: we leave the pool, and what we had reserved is free at once
