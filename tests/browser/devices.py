"""Devices for the page to show, each on a connection of its own; a process of its own when they are many.

`python -m tests.browser.devices URL COUNT UPDATES_PER_S` joins COUNT devices and lets them report in
turn until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

HEARTBEAT_S = 8.0
AT_ONCE = 50


def resources(**changed: Any) -> dict[str, Any]:
    """What an idle device of eight cores reports."""
    return {
        "cpuUsage": 0,
        "cpuAvailable": 100,
        "cpuCores": 8,
        "memoryUsage": 0,
        "memoryAvailable": 16384,
        "memoryTotal": 16384,
        "storageUsage": 0,
        "storageAvailable": 1000,
        "storageTotal": 1000,
        "hasGPU": False,
        **changed,
    }


class FakeDevice:
    """One device that a test moves by hand."""

    def __init__(self, url: str, device_id: str, name: str = "", **measured: Any) -> None:
        self._ending = ExitStack()
        self._socket = self._ending.enter_context(connect(url.replace("http", "ws") + "/ws"))
        self.id = device_id
        self._say(
            "register", deviceName=name or device_id, platform="linux", receives="none", accepts=["acks"]
        )
        self.report(**measured)

    def report(self, **changed: Any) -> None:
        self._say("resource_update", resources=resources(**changed))

    def leave(self) -> None:
        self._ending.close()

    def _say(self, kind: str, **fields: Any) -> None:
        self._socket.send(json.dumps({"type": kind, "deviceId": self.id, **fields}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


async def crowd(url: str, count: int, updates_per_s: float) -> None:
    """Join, say so, and report in turn."""
    sockets: list[ClientConnection] = []
    for first in range(0, count, AT_ONCE):
        joining = [_join(url, number) for number in range(first, min(count, first + AT_ONCE))]
        sockets += await asyncio.gather(*joining)
    for socket in sockets:
        asyncio.get_running_loop().create_task(_swallow(socket))
    print("joined", flush=True)
    asyncio.get_running_loop().create_task(_beat(sockets))
    due_s, turn = time.monotonic(), 0
    while True:
        number = turn % count
        usage = (number * 7 + turn // count * 13) % 100
        update = resources(cpuUsage=usage, cpuAvailable=100 - usage, memoryUsage=usage * 100)
        await _say(sockets[number], "resource_update", number, resources=update)
        turn, due_s = turn + 1, max(due_s + 1 / updates_per_s, time.monotonic() - 1)
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))


async def _join(url: str, number: int) -> ClientConnection:
    socket = await connect_async(url, compression=None, ping_interval=None, open_timeout=30)
    named = {"deviceName": f"node-{number:04d}", "platform": "linux", "receives": "none", "accepts": ["acks"]}
    await _say(socket, "register", number, **named)
    return socket


async def _say(socket: ClientConnection, kind: str, number: int, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, "deviceId": f"crowd-{number:04d}", **fields}))


async def _beat(sockets: list[ClientConnection]) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        for number, socket in enumerate(sockets):
            await _say(socket, "heartbeat", number)


async def _swallow(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


async def _until_told(url: str, count: int, updates_per_s: float) -> None:
    crowding = asyncio.create_task(crowd(url, count, updates_per_s))
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    done, _ = await asyncio.wait({crowding, ending}, return_when=asyncio.FIRST_COMPLETED)
    if crowding in done:
        crowding.result()
    crowding.cancel()


if __name__ == "__main__":
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(_until_told(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
