"""Ready-made WebSocket frames: encoded once, written to many sockets."""

from __future__ import annotations

from struct import pack

_FINAL_TEXT, _FINAL_BINARY = 0x81, 0x82


def text_frame(payload: bytes, first: int = _FINAL_TEXT) -> bytes:
    """`payload` as one unmasked text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return pack("!BB", first, size) + payload
    if size < 65_536:
        return pack("!BBH", first, 126, size) + payload
    return pack("!BBQ", first, 127, size) + payload


def binary_frame(payload: bytes) -> bytes:
    """`payload` as one unmasked binary frame."""
    return text_frame(payload, _FINAL_BINARY)


FRAME_LIMIT = 512 * 1024
"""bytes of one outgoing frame; only a `devices` list may be larger"""


def list_frames(payloads: list[bytes]) -> bytes:
    """Messages for a client that takes lists: as few frames as the limit allows."""
    frames: list[bytes] = []
    gathered: list[bytes] = []
    size = 2  # the brackets
    for payload in payloads:
        if gathered and size + len(payload) > FRAME_LIMIT:
            frames.append(_list_frame(gathered))
            gathered, size = [], 2
        gathered.append(payload)
        size += len(payload) + 1
    frames.append(_list_frame(gathered))
    return b"".join(frames)


def _list_frame(payloads: list[bytes]) -> bytes:
    return text_frame(payloads[0] if len(payloads) == 1 else b"[" + b",".join(payloads) + b"]")
