"""A WebSocket client for tests: it knows the protocol's envelope and nothing of the servers."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.patience import PATIENCE_S

Message = dict[str, Any]
Match = Callable[[Message], bool]


BIG_MB = 10_000_000
"""Ten terabytes: a request for so much cannot fall on the machine that runs the tests."""


def resources(**changes: Any) -> Message:
    """What an idle device with eight cores and far too much memory reports."""
    idle = {
        "cpuUsage": 0,
        "cpuAvailable": 100,
        "cpuCores": 8,
        "memoryUsage": 0,
        "memoryAvailable": BIG_MB,
        "memoryTotal": BIG_MB,
        "storageUsage": 0,
        "storageAvailable": BIG_MB,
        "storageTotal": BIG_MB,
        "hasGPU": False,
        "gpuName": None,
        "gpuUsage": None,
    }
    return {**idle, **changes}


GPU: Message = {"hasGPU": True, "gpuName": "NVIDIA RTX 3080", "gpuUsage": 30.0}


def fresh_id(label: str = "device") -> str:
    """An id that no other test uses."""
    return f"{label}-{uuid.uuid4().hex[:8]}"


def websocket_url(base_url: str) -> str:
    """The WebSocket behind a gateway's `http://host:port`."""
    return base_url.replace("http", "ws", 1) + "/ws"


class Closed(AssertionError):
    """The server closed the connection while a message was expected."""


class Client:
    """One connection; `heard` keeps every message in the order of arrival.

    An expectation takes the first message that matches and was not taken before, so that
    messages of independent kinds may come in any order.
    """

    def __init__(self, base_url: str, *, device_id: str = "", origin: str | None = None) -> None:
        self.base_url = base_url
        self.device_id = device_id or fresh_id()
        self.plain = True
        self.heard: list[Message] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self._waiting: list[Message] = []
        self._open = contextlib.ExitStack()
        self._socket = self._open.enter_context(
            connect(
                websocket_url(base_url),
                origin=origin,  # type: ignore[arg-type]  # websockets has a NewType for it
                proxy=None,
                compression=None,
                open_timeout=PATIENCE_S,
                close_timeout=2,
                ping_interval=None,
                max_size=None,
                max_queue=None,
            )
        )

    # --- saying ---------------------------------------------------------------------------

    def send(self, message: Message | list[Message]) -> None:
        self.send_raw(json.dumps(message))

    def send_raw(self, data: str | bytes) -> None:
        """A text frame for a str, a binary one for bytes."""
        try:
            self._socket.send(data)
        except ConnectionClosed as closed:
            raise self._closed(closed) from None

    def send_bytes_as_text(self, data: bytes) -> None:
        self._socket.send(data, text=True)

    def register(self, *, answered: bool = True, **more: Any) -> list[Message]:
        """Join the pool; the devices that the answer lists."""
        self.plain = self.plain and not more.keys() & {"accepts", "receives", "labels", "running", "finished"}
        named = {"deviceId": self.device_id, "deviceName": self.device_id, "platform": "linux"}
        self.send({"type": "register", **named, **more})
        if not answered:
            return []
        listed: list[Message] = self.expect("devices", self._lists_me)["devices"]
        return listed

    def _lists_me(self, message: Message) -> bool:
        return any(device["id"] == self.device_id for device in message["devices"])

    def heartbeat(self) -> None:
        self.send({"type": "heartbeat", "deviceId": self.device_id})

    def update(self, resources: Message, **more: Any) -> None:
        self.send({"type": "resource_update", "deviceId": self.device_id, "resources": resources, **more})

    def request(self, requirements: Any, **more: Any) -> None:
        asked = {"deviceId": self.device_id, "requirements": requirements}
        self.send({"type": "resource_request", **asked, **more})

    def ask(self, requirements: Message, *, within_s: float = PATIENCE_S) -> Message:
        """Request resources; the allocation that answers."""
        self.request(requirements)
        allocation: Message = self.expect("resource_allocation", within_s=within_s)["allocation"]
        return allocation

    def submit(self, task_id: str, data: Message, **more: Any) -> None:
        task = {"id": task_id, "type": "compute", "submitterId": self.device_id, "data": data}
        self.send({"type": "task_submit", "task": {**task, "requirements": {"cpu": 1}, **more}})

    def result_of(self, task_id: str, *, within_s: float = PATIENCE_S) -> Message:
        """The outcome of a task, when it comes."""
        result: Message = self.expect("task_result", task_is(task_id), within_s=within_s)["result"]
        return result

    # --- hearing --------------------------------------------------------------------------

    def expect(self, kind: str, match: Match | None = None, *, within_s: float = PATIENCE_S) -> Message:
        """The first message of `kind` that matches; fails if there is none in time."""
        deadline = time.monotonic() + within_s
        while True:
            for message in self._waiting:
                if message["type"] == kind and (match is None or match(message)):
                    self._waiting.remove(message)
                    return message
            if not self._hear(deadline - time.monotonic()):
                raise AssertionError(f"no {kind} within {within_s} s; heard {self.summary()}")

    def expect_error(self, code: str | None = None, *, within_s: float = PATIENCE_S) -> Message:
        error = self.expect("error", within_s=within_s)
        assert code is None or error["code"] == code, error
        return error

    def expect_close(self, *, within_s: float = PATIENCE_S) -> tuple[int | None, str]:
        """Code and reason with which the server closes the connection."""
        deadline = time.monotonic() + within_s
        with contextlib.suppress(Closed):
            while self._hear(deadline - time.monotonic()):
                pass
            raise AssertionError(f"still open after {within_s} s; heard {self.summary()}")
        return self.close_code, self.close_reason

    def listen(self, for_s: float = 0) -> list[Message]:
        """Everything heard so far, and what still comes in the next seconds."""
        deadline = time.monotonic() + for_s
        with contextlib.suppress(Closed):
            while self._hear(max(0.0, deadline - time.monotonic())):
                pass
        return self.heard

    def of_kind(self, *kinds: str) -> list[Message]:
        """What has been heard of these kinds, taken by an expectation or not."""
        return [message for message in self.listen() if message["type"] in kinds]

    def hear_one(self, for_s: float) -> bool:
        """Take in the next frame; False if none came."""
        return self._hear(for_s)

    def forget(self) -> None:
        """From here on expect only what comes from now on."""
        self.listen()
        self._waiting.clear()

    def summary(self) -> str:
        """The last messages heard, for the text of a failure."""
        return "; ".join(json.dumps(message)[:160] for message in self.heard[-8:]) or "nothing"

    def _hear(self, timeout_s: float) -> bool:
        """Take in one frame; False if none came in time."""
        try:
            frame = self._socket.recv(timeout=max(0.0, timeout_s))
        except TimeoutError:
            return False
        except ConnectionClosed as closed:
            raise self._closed(closed) from None
        assert isinstance(frame, str), "the server sends text frames only"
        said = json.loads(frame)
        assert isinstance(said, dict) or not self.plain, f"a plain client got {frame[:160]}"
        messages = said if isinstance(said, list) else [said]
        self.heard += messages
        self._waiting += messages
        return True

    def _closed(self, closed: ConnectionClosed) -> Closed:
        if closed.rcvd is not None:
            self.close_code, self.close_reason = closed.rcvd.code, closed.rcvd.reason
        return Closed(f"closed with {self.close_code} {self.close_reason}; heard {self.summary()}")

    # --- leaving --------------------------------------------------------------------------

    def close(self) -> None:
        """Leave as a client should."""
        self._open.close()

    def cut(self) -> None:
        """Lose the network: the connection ends without a close frame."""
        with contextlib.suppress(OSError):
            self._socket.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Closed):
            while self._hear(PATIENCE_S):
                pass


def about(device_id: str) -> Match:
    """Matches an update or a leave of this device."""
    return lambda message: message["deviceId"] == device_id


def joins(device_id: str) -> Match:
    """Matches the arrival of this device."""
    return lambda message: message["device"]["id"] == device_id


def task_is(task_id: str) -> Match:
    """Matches what is said about this task."""
    return lambda message: message["taskId"] == task_id


def lists_exactly(device_ids: Iterable[str], *, among: Iterable[str]) -> Match:
    """Matches a list that holds, of the devices `among`, exactly `device_ids`."""
    wanted, known = set(device_ids), set(among)
    return lambda message: {device["id"] for device in message["devices"]} & known == wanted
