"""A gateway with no pool behind it: it notes what it hears, and says what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from rpn import codec
from rpn.messages import Acked, Devices, FromClient, Message, Observe, Register, TaskDone
from tests.support.patience import PATIENCE_S

M = TypeVar("M", bound=Message)


class GatewayDouble:
    """Speaks for one gateway; `heard` holds every message of every connection, in order."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.heard: list[FromClient] = []
        self.frames: list[bytes] = []
        self.acknowledges = acknowledges
        self.welcomes = True
        self.refusal: tuple[int, bytes] | None = None
        """status and body that whoever comes gets instead of a connection"""
        self.connections: list[ServerConnection] = []
        self.visits = 0
        self.on_message: Callable[[FromClient], Message | None] = lambda _: None
        self._server: Server | None = None
        self._news = asyncio.Condition()
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def start(self, port: int = 0) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            port,
            process_request=self._refuse,
            max_size=2**20,
            compression=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self, code: int = 1001) -> None:
        if self._server is not None:
            self._server.close(code=code)
            await self._server.wait_closed()

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refusal is None:
            return None
        status, body = self.refusal
        return Response(status, "", Headers({"Content-Length": str(len(body))}), body)

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        self.visits += 1
        try:
            while True:
                frame = await connection.recv(decode=False)
                self.frames.append(frame)
                found = codec.decode_from_client(frame)
                for message in found if isinstance(found, list) else [found]:
                    await self._note(connection, message)
        except ConnectionClosed:
            self.connections.remove(connection)

    async def _note(self, connection: ServerConnection, message: FromClient) -> None:
        if isinstance(message, Register | Observe) and self.welcomes:
            await connection.send(codec.encode(Devices(devices=[])), text=True)
        answer = self.on_message(message)
        if answer is not None:
            await connection.send(codec.encode(answer), text=True)
        if isinstance(message, TaskDone) and self.acknowledges:
            await connection.send(codec.encode(Acked(ids=[message.attempt])), text=True)
        async with self._news:
            self.heard.append(message)
            self._news.notify_all()

    async def say(self, *messages: Message) -> None:
        """Send `messages` to whoever is connected, in one frame."""
        for connection in list(self.connections):
            await connection.send(codec.encode_all(list(messages)), text=True)

    async def cut(self, code: int = 1011, reason: str = "") -> None:
        """Close every connection from this side."""
        for connection in list(self.connections):
            await connection.close(code, reason)

    def all(self, kind: type[M]) -> list[M]:
        """Every message of this kind so far."""
        return [message for message in self.heard if isinstance(message, kind)]

    async def nth(self, kind: type[M], number: int = 1, *, within_s: float = PATIENCE_S) -> M:
        """The `number`th message of this kind, which may be still to come."""
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(lambda: len(self.all(kind)) >= number)
        return self.all(kind)[number - 1]

    async def until(
        self, kind: type[M], condition: Callable[[M], bool], *, within_s: float = PATIENCE_S
    ) -> M:
        """The first message of this kind that meets `condition`."""
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(lambda: any(map(condition, self.all(kind))))
        return next(filter(condition, self.all(kind)))


@asynccontextmanager
async def gateway_double(*, acknowledges: bool = True) -> AsyncIterator[GatewayDouble]:
    """A running double on a free port."""
    gateway = GatewayDouble(acknowledges=acknowledges)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()
