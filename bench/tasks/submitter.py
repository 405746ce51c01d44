"""A submitter of `echo` tasks over a WebSocket that keeps so many under way."""

from __future__ import annotations

import asyncio
from itertools import count
from time import perf_counter
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

LIST_LIMIT = 200
"""messages in one frame"""


class Submitter:
    """One device that opted in: it says lists, and is told lists."""

    def __init__(self, url: str, name: str = "bench") -> None:
        self._url = url
        self._name = name
        self._numbers = count()
        self._began_s: dict[str, float] = {}
        self._socket: ClientConnection | None = None
        self.latencies_s: list[float] = []

    async def connect(self) -> None:
        """Register, and wait for the list of devices."""
        self._socket = await connect(self._url, max_size=None, compression=None)
        names = {"deviceId": self._name, "deviceName": self._name, "platform": "linux"}
        register = {"type": "register", **names, "accepts": ["acks", "results"], "receives": "none"}
        await self._say([register])
        await self._socket.recv()

    async def run(self, *, in_flight: int, seconds: float) -> float:
        """Results a second, with so many tasks under way all the time."""
        assert self._socket is not None
        self.latencies_s.clear()
        started_s = perf_counter()
        await self._submit(in_flight)
        while self._began_s:
            ended = self._ended(msgspec.json.decode(await self._socket.recv()))
            if not ended:
                continue
            await self._say([{"type": "ack", "ids": ended}])
            if perf_counter() - started_s < seconds:
                await self._submit(len(ended))
        return len(self.latencies_s) / (perf_counter() - started_s)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    def _ended(self, heard: Any) -> list[str]:
        """The tasks whose results came."""
        now_s, ended = perf_counter(), []
        for message in heard if isinstance(heard, list) else [heard]:
            if message["type"] == "error":
                raise RuntimeError(message["error"])
            if message["type"] == "task_result" and message["taskId"] in self._began_s:
                if not message["result"]["success"]:
                    raise RuntimeError(message["result"]["error"])
                self.latencies_s.append(now_s - self._began_s.pop(message["taskId"]))
                ended.append(message["taskId"])
        return ended

    async def _submit(self, count_: int) -> None:
        ids = [f"t{next(self._numbers)}" for _ in range(count_)]
        self._began_s.update(dict.fromkeys(ids, perf_counter()))
        await self._say([{"type": "task_submit", "task": self._task(each)} for each in ids])

    def _task(self, task_id: str) -> dict[str, Any]:
        return {
            "id": task_id,
            "type": "compute",
            "submitterId": self._name,
            "requirements": {"memory": 1},
            "data": {"command": "echo", "input": "x"},
        }

    async def _say(self, messages: list[dict[str, Any]]) -> None:
        assert self._socket is not None
        for start in range(0, len(messages), LIST_LIMIT):
            await self._socket.send(msgspec.json.encode(messages[start : start + LIST_LIMIT]), text=True)
            await asyncio.sleep(0)
