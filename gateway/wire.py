"""uvicorn's WebSocket protocol with a shorter way in and out.

In: a whole message goes straight to the receiver, synchronously, with no queue and no task to wake.
A text message that is one whole frame does not even visit the library's parser; all else does.
Out: frames made elsewhere are written to the transport as they are. ASGI keeps connect, accept and
disconnect.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import BaseTransport
from functools import partial
from typing import Any, Protocol, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.protocol import Protocol as Parser
from websockets.streams import StreamReader

from gateway.leaflet import Leaflet
from gateway.ration import Ration

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - where websockets brings no compiled part
    from websockets.utils import apply_mask

CLOSE_LIMIT_S = 1.5
"""how long a client may take to answer our close before its socket is dropped"""
SLICE, READ_AFTER_CLOSE = 8 * 1024, 64 * 1024
"""bytes that are parsed at a time, and that are read after our close to find the client's answer to it"""
FRAGMENT_LIMIT = 1024
"""frames of one message"""
KERNEL_BUFFER = 64 * 1024
"""bytes that the kernel may hold for a client that does not read"""
UNACKNOWLEDGED_LIMIT_MS = 5000
"""how long sent data may stay unacknowledged before the kernel gives the connection up"""
EXTENSION = "rpn.wire"
"""where the endpoint finds this protocol in its ASGI scope's extensions"""

_WHOLE_TEXT = 0x81
"""first byte of a text message in one frame (RFC 6455, section 5.2)"""
_MASKED, _MASKED_LONG = 0x80, 0xFE
"""second byte: the mask bit and the size, or that two bytes of size follow"""
_BETWEEN_FRAMES = StreamReader.at_eof.__code__
"""where the library's parser waits for a frame to begin"""


class Receiver(Protocol):
    """Who takes what comes in on a wire."""

    def on_text(self, data: bytes) -> None: ...
    def on_binary(self, data: bytes) -> None: ...
    def on_writable(self) -> None: ...


class Events:
    """What asyncio.Queue is to uvicorn, for the few events of one connection: two, as a rule."""

    __slots__ = ("_events", "_waiting")

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._waiting: asyncio.Future[None] | None = None

    def put_nowait(self, event: Any) -> None:
        self._events.append(event)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> Any:
        while not self._events:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._events.pop(0)

    def empty(self) -> bool:
        return not self._events


class Wire(WebSocketsSansIOProtocol):
    """One WebSocket."""

    receiver: Receiver | None = None
    closed_by_peer = False
    """the client itself closed, with a close frame"""
    _socket = -1
    """its number, if what is written there arrives as it is: not so with TLS"""
    _between_frames = False
    """the library's parser holds nothing: the next byte begins a message"""
    _read_after_close = 0
    """bytes, about"""
    _spoke = False
    """something came since we last wanted to know"""

    def __init__(self, *args: Any, ration: Ration | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.queue = cast("Any", Events())
        self._ration = ration or Ration()

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        sock = self.transport.get_extra_info("socket")
        bound_kernel_buffers(sock)
        if sock is not None and self.transport.get_extra_info("sslcontext") is None:
            self._socket = sock.fileno()

    def data_received(self, data: bytes) -> None:
        if self._ration.admits(len(data)):
            self._take(data)
        else:  # meanwhile its kernel and ours slow the client down
            self.transport.pause_reading()
            self._ration.later(partial(self._take_later, data))

    def _take_later(self, data: bytes) -> None:
        if not self.disconnected:
            self._take(data)
            self.transport.resume_reading()

    def _take(self, data: bytes) -> None:
        self._spoke = True
        if self._between_frames:
            data = self._take_whole_texts(data)
            if not data:
                return
        self._parse(data)
        self._between_frames = between_frames(self.conn)

    def _parse(self, data: bytes) -> None:
        """Through the library, a slice at a time: once we have closed, little more is looked at.

        What comes in one piece may be thousands of frames, and the library reads all before we hear of one.
        """
        for start in range(0, len(data), SLICE):
            if self.close_sent:
                self._read_after_close += SLICE
                if self._read_after_close > READ_AFTER_CLOSE:
                    return
            super().data_received(data[start : start + SLICE])

    def _take_whole_texts(self, data: bytes) -> bytes:
        """Hand over the text messages, a frame each, that `data` begins with; answers what follows them."""
        start, size = 0, len(data)
        while start + 6 < size and data[start] == _WHOLE_TEXT and not self.close_sent:
            length = data[start + 1]
            if _MASKED < length < _MASKED_LONG:
                head = start + 6
                end = head + length - _MASKED
            elif length == _MASKED_LONG:
                head = start + 8
                end = head + int.from_bytes(data[start + 2 : start + 4])
            else:
                break
            if end > size:
                break
            self._take_text(apply_mask(data[head:end], data[head - 4 : head]))
            start = end
        return data[start:] if start else data

    def send_keepalive_ping(self) -> None:
        """Ask only who has said nothing of its own accord since last time."""
        if self._spoke:
            self._spoke = False
            self.schedule_ping()
        else:
            super().send_keepalive_ping()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= FRAGMENT_LIMIT:
            self.close(1009, "too many fragments")
            return
        super().handle_cont(event)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = self

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # refused in full: there is nothing left to answer
        if message["type"] == "websocket.accept":
            self._forget_handshake()

    def _forget_handshake(self) -> None:
        """Of thousands of idle connections, the handshakes would take a fifth of the memory."""
        self.request = self.response = cast("Any", None)
        self.scope["headers"] = []

    def handle_parser_exception(self) -> None:
        """Close for broken framing or too big a message, and read on without looking.

        Closing with bytes unread would reset the connection, and the reset overtake our close frame.
        """
        if self.close_sent or self.conn.close_sent is None:
            return
        frames = b"".join(self.conn.data_to_send())
        close = self.conn.close_sent
        if self.conn.close_rcvd is not None:
            # A client may close in the middle of a message of many frames; the library thinks it may not.
            self.closed_by_peer, close = True, self.conn.close_rcvd
            data = b"" if close.code == CloseCode.NO_STATUS_RCVD else close.serialize()
            frames = Frame(Opcode.CLOSE, data).serialize(mask=False)
        self._send_close(frames, close.code, close.reason)

    def _send_close(self, frames: bytes, code: int, reason: str) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(frames)
        self.close_sent = True
        self.stop_keepalive()
        self.close_timer = self.loop.call_later(CLOSE_LIMIT_S, self.transport.abort)

    def handle_close(self, event: Frame) -> None:
        self.closed_by_peer = self.closed_by_peer or not self.close_sent
        super().handle_close(event)

    def send_receive_event_to_app(self) -> None:
        """A whole message is here."""
        data = bytes(self.frames[0] if len(self.frames) == 1 else b"".join(self.frames))
        self.frames = []
        if self.close_sent or self.receiver is None:
            return
        if self.curr_msg_data_type == "text":
            self._take_text(data)
        else:
            self.receiver.on_binary(data)

    def _take_text(self, data: bytes) -> None:
        if self.receiver is None:
            return
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                self.close(1007, "not UTF-8")
                return
        self.receiver.on_text(data)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.receiver is not None:
            self.receiver.on_writable()

    def limit_buffer(self, limit: int) -> None:
        """Have `on_writable` called when less than half of `limit` bytes wait again."""
        self.transport.set_write_buffer_limits(high=limit, low=limit // 2)

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client to take them."""
        return self.transport.get_write_buffer_size()

    def write(self, frames: bytes) -> None:
        """Send ready-made frames, whole ones only."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(frames)

    def hand(self, leaflet: Leaflet) -> None:
        """Send what everybody is sent, past the transport if nothing waits there."""
        if self.close_sent or self.transport.is_closing():
            return
        if self._socket < 0 or self.transport.get_write_buffer_size():
            self.transport.write(leaflet.frames)
        elif rest := leaflet.send(self._socket):
            self.transport.write(rest)

    def close(self, code: int, reason: str) -> None:
        """Close from our side; the client has CLOSE_LIMIT_S to answer."""
        if self.close_sent or self.transport.is_closing():
            return
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            return
        self._send_close(b"".join(self.conn.data_to_send()), code, reason)


def between_frames(parser: Parser) -> bool:
    """The connection is open, and all that came so far was whole messages."""
    if parser.state is not OPEN or parser.current_size is not None:
        return False
    waiting: Any = parser.parser
    while waiting.gi_yieldfrom is not None:
        waiting = waiting.gi_yieldfrom
    return waiting.gi_code is _BETWEEN_FRAMES


def bound_kernel_buffers(sock: Any) -> None:
    """Let a client that does not read cost little, and a dead one not for long (where the kernel can)."""
    if sock is None or sock.family == getattr(socket, "AF_UNIX", None):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
    for name, value in (("TCP_NOTSENT_LOWAT", KERNEL_BUFFER), ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_LIMIT_MS)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
