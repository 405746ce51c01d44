"""One WebSocket to one gateway: typed messages in and out, several to a frame where that is allowed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from rpn import codec
from rpn.client.trust import client_tls
from rpn.errors import BadMessage
from rpn.messages import Error, FromServer, Message
from rpn.proof import NONCE_HEADER

log = logging.getLogger(__name__)
_socket_log = logging.getLogger("rpn.client.websocket")
_socket_log.setLevel(logging.INFO)  # below it, every frame would be told

FRAME_LIMIT_KIB = 512
"""Joined frames are cut here; a single message may be larger."""
INCOMING_LIMIT_MIB = 64
"""A `devices` list of a very large pool still fits."""
OPEN_LIMIT_S = 5.0
CLOSE_LIMIT_S = 1.0
PING_S = 10.0

Closed = ConnectionClosed
CannotConnect = (OSError, TimeoutError, InvalidHandshake, InvalidURI)
"""What `open_connection` raises when there is no gateway, or none that takes us."""


async def open_connection(url: str, *, token: str = "") -> Connection:
    """Connect to the gateway at `url`, with a token if it wants one; raises one of `CannotConnect`."""
    socket = await connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"} if token else None,
        ssl=client_tls() if url.startswith("wss:") else None,
        compression=None,
        proxy=True if url.startswith("wss:") else None,
        open_timeout=OPEN_LIMIT_S,
        close_timeout=CLOSE_LIMIT_S,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        max_size=INCOMING_LIMIT_MIB * 2**20,
        logger=_socket_log,
    )
    return Connection(socket)


def refusal_of(error: Exception) -> Error | None:
    """What a gateway said instead of letting us in; None if there was none, or it was no gateway."""
    if not isinstance(error, InvalidStatus):
        return None
    try:
        told = msgspec.json.decode(error.response.body or b"", type=dict[str, str])
        return Error(error=told["error"], code=told["code"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return None


class Connection:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @property
    def nonce(self) -> str:
        """What the gateway wants signed with the key of our token; empty if it wants nothing."""
        answer = self._socket.response
        return str(answer.headers.get(NONCE_HEADER, "")) if answer is not None else ""

    async def send(self, messages: Sequence[Message], *, joined: bool) -> None:
        """Send `messages` in order, as few frames as possible if `joined`; raises Closed."""
        encoded = [codec.encode(message) for message in messages]
        for frame in frames(encoded) if joined else encoded:
            await self._socket.send(frame, text=True)

    async def receive(self) -> list[FromServer]:
        """The messages of the next frame; raises Closed."""
        return decode(await self._socket.recv(decode=False))

    async def close(self) -> None:
        """Say goodbye (1000), and wait a moment for the answer."""
        await self._socket.close()


def frames(encoded: Iterable[bytes], *, limit_kib: int = FRAME_LIMIT_KIB) -> Iterator[bytes]:
    """Join encoded messages to frames: one alone as it is, more as a JSON list."""
    waiting: list[bytes] = []
    size = 0
    for message in encoded:
        if waiting and size + len(message) >= limit_kib * 1024:
            yield _joined(waiting)
            waiting, size = [], 0
        waiting.append(message)
        size += len(message) + 1
    if waiting:
        yield _joined(waiting)


def _joined(messages: list[bytes]) -> bytes:
    return messages[0] if len(messages) == 1 else b"[" + b",".join(messages) + b"]"


def decode(frame: bytes) -> list[FromServer]:
    """The messages of a frame; those of a kind we do not know yet are left out."""
    try:
        found = codec.decode_from_server(frame)
    except BadMessage as error:
        log.debug("a frame we cannot read: %s", error)
        return _known(frame)
    return found if isinstance(found, list) else [found]


def _known(frame: bytes) -> list[FromServer]:
    try:
        parts = msgspec.json.decode(frame, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return [message for part in parts for message in _read(part)]


def _read(part: msgspec.Raw) -> list[FromServer]:
    try:
        found = codec.decode_from_server(bytes(part))
    except BadMessage:
        return []
    return found if isinstance(found, list) else [found]
