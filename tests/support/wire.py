"""A socket without a network: it notes what a gateway writes, and lets a test decide how much is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from gateway.leaflet import Leaflet
from gateway.peer import Peer
from gateway.wire import Receiver, Wire

URI = parse_uri("ws://test/")


def decoded(data: bytes) -> list[bytes]:
    """The payloads of the text frames in `data`, as a client's parser reads them."""
    client = ClientProtocol(URI, state=OPEN, max_size=None)
    client.receive_data(data)
    assert client.parser_exc is None, client.parser_exc
    frames = [cast("Frame", event) for event in client.events_received()]
    assert all(frame.opcode is Opcode.TEXT and frame.fin for frame in frames)
    return [bytes(frame.data) for frame in frames]


class FakeWire:
    """What a Peer uses of gateway.wire.Wire."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        """one entry a write"""
        self.buffered = 0
        self.takes = True
        """False: nothing is taken, everything waits"""
        self.limit = 0
        self.closed: tuple[int, str] | None = None
        self.closed_by_peer = False
        self.receiver: Receiver | None = None
        self.on_close: Callable[[], None] = lambda: None
        self.disconnected = False

    @property
    def close_sent(self) -> bool:
        return self.closed is not None

    def limit_buffer(self, limit: int) -> None:
        self.limit = limit

    def write(self, frames: bytes) -> None:
        if self.closed is None:
            self.written.append(frames)
            if not self.takes:
                self.buffered += len(frames)

    def hand(self, leaflet: Leaflet) -> None:
        self.write(leaflet.frames)

    def close(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = code, reason
            self.on_close()

    # --- for tests ------------------------------------------------------------------------

    @property
    def frames(self) -> list[Any]:
        """What arrived, a value a frame: a message, or a list of them."""
        return [json.loads(payload) for payload in decoded(b"".join(self.written))]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message that arrived, lists unpacked."""
        found: list[dict[str, Any]] = []
        for frame in self.frames:
            found += frame if isinstance(frame, list) else [frame]
        return found

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.messages]

    @property
    def heard(self) -> list[str]:
        """Each message as `type device`, a list of devices with all of them."""
        return [f"{message['type']} {whom(message)}".strip() for message in self.messages]

    def forget(self) -> None:
        self.written.clear()


def whom(message: dict[str, Any]) -> str:
    """The device a message names, or the devices of a list."""
    match message["type"]:
        case "devices":
            return " ".join(device["id"] for device in message["devices"])
        case "device_joined":
            return str(message["device"]["id"])
    return str(message.get("deviceId", ""))


def peer_on(wire: FakeWire, *, now_s: float = 0.0, outbox_limit: int = 256 * 1024) -> Peer:
    """A connection just opened."""
    return Peer(cast("Wire", wire), "127.0.0.1", outbox_limit=outbox_limit, now_s=now_s)
