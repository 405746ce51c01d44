"""A WebSocket of ours without a network: a test feeds it bytes and sees what reaches the receiver."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import Any, cast

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from gateway.server import MESSAGE_LIMIT
from gateway.wire import EXTENSION, Wire

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n\r\n"
)


class Transport(asyncio.Transport):
    """Takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Heard:
    """A receiver that notes what comes."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.binaries: list[bytes] = []

    def on_text(self, data: bytes) -> None:
        self.texts.append(data)

    def on_binary(self, data: bytes) -> None:
        self.binaries.append(data)

    def on_writable(self) -> None:
        """Nobody waits."""


class Plug:
    """One open connection."""

    def __init__(self, wire: Wire, transport: Transport) -> None:
        self.wire, self.transport, self.heard = wire, transport, Heard()
        wire.receiver = self.heard

    def feed(self, data: bytes) -> None:
        self.wire.data_received(data)

    def frame(self, opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> None:
        self.feed(client_frame(opcode, data, fin=fin))


def client_frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as a client sends it: masked."""
    return Frame(opcode, data, fin).serialize(mask=True)


async def plugged_in() -> Plug:
    """A connection after its handshake."""
    accepted, transport = asyncio.Event(), Transport()
    wire = _wire(accepted)
    wire.connection_made(transport)
    wire.data_received(HANDSHAKE)
    await accepted.wait()
    transport.written = b""
    return Plug(wire, transport)


async def wired(ours: socket.socket, theirs: socket.socket) -> Wire:
    """A connection after its handshake, on a socket: the answer to that is the first that `theirs` holds."""
    accepted = asyncio.Event()
    theirs.sendall(HANDSHAKE)
    _, wire = await asyncio.get_running_loop().connect_accepted_socket(lambda: _wire(accepted), ours)
    wire.receiver = Heard()
    await accepted.wait()
    return wire


def _wire(accepted: asyncio.Event) -> Wire:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        accepted.set()
        assert scope["extensions"][EXTENSION]
        await receive()

    config = Config(cast("Any", app), ws_max_size=MESSAGE_LIMIT, ws_per_message_deflate=False, lifespan="off")
    config.load()
    return Wire(config, ServerState(), {})
