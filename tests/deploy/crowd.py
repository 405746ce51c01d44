"""Clients built on rpn.client that stay while the cluster changes under them, and watchers that tell."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from types import TracebackType

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from rpn.client.pool import AsyncPool
from rpn.client.submission import Submission
from rpn.model import Requirements
from tests.support.ws import Message, websocket_url

LITTLE = Requirements(memory=1)
"""fits also on a machine whose processors are busy with this very test"""
WATCHERS = 4
"""spread over the gateways: some see what others miss while their own gateway goes"""


class Crowd:
    """`size` devices at one address, for as long as the block lasts."""

    def __init__(self, url: str, *, size: int) -> None:
        self.url = url
        self.pools = [AsyncPool(url, name=f"crowd-{number}") for number in range(size)]
        self.left: Counter[str] = Counter()
        """devices of ours that a watcher saw leaving"""
        self.closes: Counter[int | None] = Counter()
        """codes that watchers' connections were closed with"""
        self.submitted: list[Submission] = []
        self._stack = contextlib.AsyncExitStack()
        self._watching: list[asyncio.Task[None]] = []

    @property
    def ids(self) -> set[str]:
        return {pool.device_id for pool in self.pools}

    async def __aenter__(self) -> Crowd:
        for pool in self.pools:
            await self._stack.enter_async_context(pool)
        await asyncio.gather(*(pool.devices() for pool in self.pools))
        self._watching = [asyncio.create_task(self._watch()) for _ in range(WATCHERS)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._stack.aclose()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, WebSocketException):
                async with connect(websocket_url(self.url), compression=None, max_size=None) as socket:
                    await socket.send('{"type":"observe"}')
                    async for frame in socket:
                        self._heard(json.loads(frame))
                    self.closes[socket.close_code] += 1
            await asyncio.sleep(0.1)

    def _heard(self, frame: Message | list[Message]) -> None:
        for message in frame if isinstance(frame, list) else [frame]:
            if message["type"] == "device_left" and message["deviceId"] in self.ids:
                self.left[message["deviceId"]] += 1

    async def submit(self, *, rate: float, seconds: float) -> None:
        """Submit small tasks in turn, `rate` a second; those that come back are in `submitted`."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            number = len(self.submitted)
            pool = self.pools[number % len(self.pools)]
            self.submitted.append(pool.submit("echo", number, requirements=LITTLE))
            await asyncio.sleep(1 / rate)

    async def results(self, *, within_s: float) -> list[object]:
        """What became of every task submitted so far."""
        async with asyncio.timeout(within_s):
            return await asyncio.gather(*self.submitted, return_exceptions=True)

    async def echo(self, *, within_s: float) -> float:
        """How long a task takes now, in seconds."""
        start_s = time.monotonic()
        async with asyncio.timeout(within_s):
            assert await self.pools[0].submit("echo", "now", requirements=LITTLE) == "now"
        return time.monotonic() - start_s
