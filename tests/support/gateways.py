"""Real gateways inside the test's own process, and clients that talk to them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import httpx
from starlette.routing import BaseRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.app import Gateway
from gateway.server import listen, server_for, widened
from gateway.tls import tls_context
from rpn.service import serve
from rpn.settings import GatewaySettings
from rpn.store.connection import Connection
from tests.support.patience import PATIENCE_S

Message = dict[str, Any]


class RunningGateway:
    """One gateway, served as `python -m gateway` serves it."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._listener: socket.socket = listen(settings)
        self.port: int = self._listener.getsockname()[1]
        self.http = httpx.AsyncClient(base_url=self.url, trust_env=False, verify=False)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        connection = Connection(self._settings.redis_url)
        gateway = self._gateway = Gateway(self._settings, connection)
        server = server_for(gateway.asgi, tls=tls_context(self._settings))
        served = asyncio.Event()

        async def serve_http() -> None:
            try:
                await server.serve(sockets=widened(self._listener))
            finally:
                served.set()

        async def drain() -> None:
            await gateway.drain()
            server.should_exit = True
            await served.wait()

        try:
            await serve(*gateway.jobs(), serve_http, stop=self._stop, drain=drain)
        finally:
            await connection.close()
            self._listener.close()

    def routes(self) -> list[BaseRoute]:
        """Everything it answers over HTTP."""
        return self._gateway.routes

    @property
    def url(self) -> str:
        return f"{'https' if self._settings.tls_cert else 'http'}://127.0.0.1:{self.port}"

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def ready(self) -> None:
        """Wait until it knows the pool."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(httpx.ConnectError):
                    if (await self.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Drain and end, as after SIGTERM."""
        await self.http.aclose()
        self._stop.set()
        await self.task

    async def talk(self, device_id: str = "", **more: Any) -> Talker:
        """A connection; registered and let in if it has a device."""
        talker = Talker(await connect(f"ws://127.0.0.1:{self.port}/ws", max_size=None, compression=None))
        if device_id:
            talker.device_id = device_id
            await talker.register(**more)
            await talker.expect("devices", lambda m: any(d["id"] == device_id for d in m["devices"]))
        return talker


class Talker:
    """One client: what it hears is kept in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.device_id = ""
        self.heard: list[Message] = []
        self._news = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        with suppress(ConnectionClosed):
            async for frame in self.connection:
                said = json.loads(frame)
                self.heard += said if isinstance(said, list) else [said]
                async with self._news:
                    self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def register(self, **more: Any) -> None:
        named = {"deviceId": self.device_id, "deviceName": self.device_id, "platform": "linux"}
        await self.say("register", **{**named, **more})

    async def say(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, "deviceId": self.device_id, **fields}))

    async def expect(
        self, kind: str, match: Callable[[Message], bool] = lambda _: True, *, within_s: float = PATIENCE_S
    ) -> Message:
        """The first message of `kind` that matches, heard already or still to come."""
        return await self._first(kind, lambda m: m["type"] == kind and match(m), within_s)

    async def answer_to(self, request_id: str, *, within_s: float = PATIENCE_S) -> Message:
        """The first message that answers this request, an error for instance."""
        return await self._first(
            f"answer to {request_id}", lambda m: m.get("requestId") == request_id, within_s
        )

    async def _first(self, what: str, match: Callable[[Message], bool], within_s: float) -> Message:
        def found() -> list[Message]:
            return [message for message in self.heard if match(message)]

        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(lambda: found() or self._listening.done())
        except TimeoutError:
            raise AssertionError(f"no {what} in {within_s} s, only {self.heard[-8:]}") from None
        assert found(), f"closed {self.connection.close_code} before {what}, heard {self.heard[-8:]}"
        return found()[0]

    async def closed(self, *, within_s: float = PATIENCE_S) -> tuple[int | None, str | None]:
        """Code and reason, once the server has closed."""
        async with asyncio.timeout(within_s):
            await asyncio.shield(self._listening)
        return self.connection.close_code, self.connection.close_reason

    def of(self, *kinds: str) -> list[str]:
        """What was heard of these kinds, as `kind device`."""
        return [f"{m['type']} {_device(m)}" for m in self.heard if m["type"] in kinds]

    async def close(self) -> None:
        await self.connection.close()
        await self._listening

    async def cut(self) -> None:
        """Lose the network: no close frame."""
        self.connection.transport.abort()
        await self._listening

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _device(message: Message) -> str:
    return str(message["device"]["id"] if "device" in message else message.get("deviceId", ""))


class Pool:
    """Gateways on one store; `talk` and `start` end with the pool."""

    def __init__(self, redis_url: str, name: str, **settings: Any) -> None:
        self._settings = {"redis_url": redis_url, "pool": name, "port": 0, "drain_s": 0.2, **settings}
        self.gateways: list[RunningGateway] = []
        self._talkers: list[Talker] = []

    async def start(self) -> RunningGateway:
        gateway = RunningGateway(GatewaySettings(**self._settings))
        self.gateways.append(gateway)
        await gateway.ready()
        return gateway

    async def talk(self, gateway: int = 0, device_id: str = "", **more: Any) -> Talker:
        """A client of one of the gateways, by number."""
        talker = await self.gateways[gateway].talk(device_id, **more)
        self._talkers.append(talker)
        return talker

    async def end(self) -> None:
        await asyncio.gather(*[talker.close() for talker in self._talkers])
        for gateway in self.gateways:
            if not gateway.task.done():
                await gateway.stop()


@asynccontextmanager
async def gateways(redis_url: str, name: str, *, count: int, **settings: Any) -> AsyncIterator[Pool]:
    """A pool of `count` gateways."""
    pool = Pool(redis_url, name, **settings)
    try:
        for _ in range(count):
            await pool.start()
        yield pool
    finally:
        await pool.end()
