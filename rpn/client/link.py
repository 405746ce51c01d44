"""A connection that comes back: it greets some gateway, and greets another when the one is gone."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

import msgspec

from rpn.client import backoff
from rpn.client.backoff import Ending
from rpn.client.connection import CannotConnect, Closed, Connection, open_connection, refusal_of
from rpn.messages import Devices, Error, FromServer, Message, Observe, Register, ServerDraining

log = logging.getLogger(__name__)

OUTBOX_LIMIT = 10_000
"""Messages that may wait for a gateway that does not read."""
GREETING_ID = "greeting"
"""The `requestId` of a greeting, so that its refusal is known from any other error."""

Greeting = Register | Observe


def _nothing() -> None:
    pass


class Link:
    """Greets, sends and receives until cancelled; what the connection does meanwhile is its business.

    `greet` is asked anew for each connection, so it tells the state of that moment. `on_message`
    gets every message in order; `on_online` is called when a gateway has taken us in: it is the place
    to send again what an earlier connection may have lost.
    """

    def __init__(
        self,
        servers: Sequence[str],
        greet: Callable[[], Greeting],
        on_message: Callable[[FromServer], None],
        *,
        on_online: Callable[[], None] = _nothing,
        token: str = "",
    ) -> None:
        self.online = asyncio.Event()
        self.server = ""
        """the gateway that has taken us in; empty while none has"""
        self.fault = ""
        """why there was no connection to the gateway that we tried last and did not reach"""
        self.nonce = ""
        """of the present connection: what a greeting with a key has to sign"""
        self._servers = list(servers)
        self._greet = greet
        self._on_message = on_message
        self._on_online = on_online
        self._token = token
        self._outbox: list[Message] = []
        self._nudge = asyncio.Event()

    def send(self, *messages: Message) -> bool:
        """Have `messages` sent; False when there is no connection or it takes no more."""
        if not self.online.is_set() or len(self._outbox) + len(messages) > OUTBOX_LIMIT:
            return False
        self._outbox.extend(messages)
        self._nudge.set()
        return True

    async def run(self) -> None:
        failures = 0
        while True:
            ending = await self._visit()
            failures = backoff.failures_after(ending, failures)
            wait_s = backoff.wait_s(ending, failures, chance=random.random())
            log.info("connecting again in %.1f s", wait_s)
            await asyncio.sleep(wait_s)

    async def _visit(self) -> Ending:
        """Be with the first gateway that takes us, until that ends."""
        for url in random.sample(self._servers, len(self._servers)):
            try:
                connection = await open_connection(url, token=self._token)
            except CannotConnect as error:
                self._missed(url, error)
                continue
            try:
                ending = await self._talk(connection, url)
            finally:
                await connection.close()
            if ending is not None:
                return ending
        return Ending()

    def _missed(self, url: str, error: Exception) -> None:
        """A gateway that refuses us is heard as one that refuses our greeting."""
        refusal = refusal_of(error)
        if refusal is None:
            self.fault = f"{url}: {error or type(error).__name__}"
            log.warning("no connection to %s", self.fault)
        else:
            log.warning("%s says: %s (%s)", url, refusal.error, refusal.code)
            self._on_message(msgspec.structs.replace(refusal, request_id=GREETING_ID))

    async def _talk(self, connection: Connection, url: str) -> Ending | None:
        """Until the connection ends, and how it did; None if this gateway does not want us."""
        visit = _Visit(url)
        self.nonce = connection.nonce
        greeting = self._greet()
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_up(connection, greeting))
            try:
                await self._receive_down(connection, visit)
            finally:
                self.online.clear()
                self.server = ""
                sender.cancel()
        return None if visit.refused else visit.ending()

    async def _send_up(self, connection: Connection, greeting: Greeting) -> None:
        """Greet, then say what comes up once the gateway has taken us in: it bounds what waits for that."""
        joined = isinstance(greeting, Register) and bool(greeting.accepts)
        try:
            await connection.send([greeting], joined=False)
            while True:
                await self._nudge.wait()
                self._nudge.clear()
                messages, self._outbox = self._outbox, []
                await connection.send(messages, joined=joined)
        except Closed:
            return  # the receiving side has seen it too, and knows why

    async def _receive_down(self, connection: Connection, visit: _Visit) -> None:
        try:
            while not visit.refused:
                for message in await connection.receive():
                    visit.note(message)
                    if isinstance(message, Devices) and not self.online.is_set():
                        self._welcomed(visit.url)
                    self._on_message(message)
        except Closed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
            visit.closed(code, reason)

    def _welcomed(self, url: str) -> None:
        """The gateway has listed its devices: we are one of them, or watch them."""
        self._outbox.clear()
        self.server = url
        self.online.set()
        self._on_online()


class _Visit:
    """What a connection's messages and its end say about coming back."""

    def __init__(self, url: str) -> None:
        self.refused = False
        self.url = url
        self._began_s = asyncio.get_running_loop().time()
        self._superseded = False
        self._return_after_ms: int | None = None

    def note(self, message: FromServer) -> None:
        if isinstance(message, ServerDraining):
            self._return_after_ms = message.reconnect_after_ms
        elif isinstance(message, Error):
            log.warning("%s says: %s (%s)", self.url, message.error, message.code)
            self.refused = self.refused or message.request_id == GREETING_ID

    def closed(self, code: int, reason: str) -> None:
        self._superseded = code == 1008 and reason.startswith("superseded")
        if self._superseded:
            log.warning("another client registered under this device id; it has the word now")
        else:
            log.info("%s closed the connection: %s %s", self.url, code, reason)

    def ending(self) -> Ending:
        lasted_s = asyncio.get_running_loop().time() - self._began_s
        return Ending(lasted_s, self._superseded, self._return_after_ms)
