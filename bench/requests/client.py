"""A WebSocket client that costs next to nothing, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import base64
import os
from collections import deque
from struct import unpack_from
from time import perf_counter
from typing import cast

import msgspec

ANSWER = b'{"type":"resource_allocation"'
FULFILLED = b'"fulfilled":true'


class Client(asyncio.Protocol):
    """One device that asks for resources: a request, its answer, the next request."""

    def __init__(self, name: str, *, window: int = 1) -> None:
        self._name = name
        self._window = window
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._open = False
        self.registered = asyncio.Event()
        self.latencies_s: list[float] = []
        self.refused = 0
        self._asked_s: deque[float] = deque()
        self._request = _text_frame(
            {"deviceId": name, "type": "resource_request", "requirements": {"cpu": 1, "memory": 1}}
        )
        self._running = False
        self._idle = asyncio.Event()

    async def connect(self, port: int) -> None:
        """Register, and wait until the pool has it."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
        await self.registered.wait()

    async def ask_for(self, seconds: float) -> None:
        """Ask, `window` requests at a time, each anew as soon as one is answered."""
        self._running = True
        self._idle.clear()
        for _ in range(self._window):
            self._ask()
        await asyncio.sleep(seconds)
        self._running = False
        await self._idle.wait()

    def say(self, message: dict[str, object]) -> None:
        self._send(_text_frame({"deviceId": self._name, **message}))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # --- the wire -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            (
                "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open, self._buffer = True, bytearray(rest)
            self.say({"type": "register", "deviceName": self._name, "platform": "linux", "receives": "none"})
        while (payload := self._frame()) is not None:
            self._hear(payload)

    def _frame(self) -> bytes | None:
        """The payload of the next whole frame."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size == 126:
            if len(buffer) < 4:
                return None
            size, start = unpack_from("!H", buffer, 2)[0], 4
        elif size == 127:
            if len(buffer) < 10:
                return None
            size, start = unpack_from("!Q", buffer, 2)[0], 10
        if len(buffer) < start + size:
            return None
        payload = bytes(buffer[start : start + size])
        del buffer[: start + size]
        return payload

    def _send(self, frame: bytes) -> None:
        assert self._transport is not None
        self._transport.write(frame)

    # --- what is said -------------------------------------------------------------------------

    def _hear(self, payload: bytes) -> None:
        if payload.startswith(ANSWER):
            self._answered(FULFILLED in payload)
        elif payload.startswith(b'{"type":"devices"'):
            self.registered.set()

    def _ask(self) -> None:
        self._asked_s.append(perf_counter())
        self._send(self._request)

    def _answered(self, fulfilled: bool) -> None:
        self.latencies_s.append(perf_counter() - self._asked_s.popleft())
        self.refused += not fulfilled
        if self._running:
            self._ask()
        elif not self._asked_s:
            self._idle.set()


def _text_frame(message: dict[str, object]) -> bytes:
    """A masked text frame; the mask is zero, which leaves the payload as it is."""
    payload = msgspec.json.encode(message)
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload
