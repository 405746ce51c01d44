"""uvicorn's HTTP protocol with a deadline and a cap for what comes before a request is understood.

Without them one byte a second, or a header without end, holds a connection and memory for ever.
Upgrades to a WebSocket go through a turnstile: a herd of them must not hold up everybody else.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from msgspec.json import encode
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.turnstile import Turnstile
from rpn.errors import BadMessage

HEAD_LIMIT_S = 5.0
"""how long a request's head may take, from the connection or from its first byte"""
HEAD_LIMIT = 80 * 1024
"""bytes of a request's head"""


class Front(HttpToolsProtocol):
    """One connection until it is a WebSocket."""

    _head_timer: TimerHandle | None = None
    _head_size = 0

    def __init__(self, *args: Any, turnstile: Turnstile, **more: Any) -> None:
        super().__init__(*args, **more)
        self._turnstile = turnstile

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._turnstile.hold()  # whoever comes is heard before the next upgrade
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head_size += len(data)
        if self._head_timer is not None and self._head_size > HEAD_LIMIT:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head has at most 80 KiB")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_done()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        self.transport.pause_reading()
        self._turnstile.enter(self._upgrade)

    def _upgrade(self) -> None:
        if not self.transport.is_closing():
            super().handle_websocket_upgrade()
            self.transport.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self._head_done()
        body = encode({"error": text, "code": BadMessage.code})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_head(self) -> None:
        self._head_size = 0
        self._head_timer = self.loop.call_later(HEAD_LIMIT_S, self._late)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        self._head_timer = None
        if self.parser is not None and not self.transport.is_closing():
            self.transport.close()
