"""What one applied batch changed in the pool: the message on the pool's events channel.

The sender packs the operations before the store decides which of them hold; the script that
applies them puts a line in front that says where the batch stands in the chain of all batches
and which of its operations were skipped:

    rev prev tip now_ms source batch skipped NEWLINE operations
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from msgspec import Struct

from rpn.codec import pack, pack_record, unpack, unpack_record
from rpn.model import PoolUsage


class Kind(IntEnum):
    """What an operation does to its device."""

    JOIN = 0
    """a session speaks for it from now on; supersedes the one before"""
    REPORT = 1
    """its latest resources"""
    HEARD = 2
    """it is still there"""
    IDENTIFY = 3
    """the same session has another name or platform"""
    LOSE = 4
    """its socket is gone; it may come back within the grace"""
    LEAVE = 5
    """it is no longer in the pool"""


_KINDS = {int(kind): kind for kind in Kind}


class Identity(Struct, frozen=True, array_like=True):
    """Who a device says it is, as it stands in the store."""

    name: str
    platform: str
    ip_address: str
    labels: dict[str, str] = {}
    accepts: list[str] = []
    jail: str = ""
    capabilities: dict[str, Any] = {}
    owner: str = ""
    """the token that registered it; empty in a pool without tokens"""


class Report(Struct, frozen=True, array_like=True):
    """A device's latest measurement, as it stands in the store."""

    frame: bytes
    """the `resource_update` for clients, ready made"""
    pool_usage: PoolUsage | None = None


class Operation(NamedTuple):
    """One change of one device; what its kind does not need is empty."""

    kind: Kind
    device_id: str
    session: str = ""
    gateway: str = ""
    identity: bytes = b""
    """a packed Identity"""
    report: bytes = b""
    """a packed Report"""
    reason: str = ""
    """why it left: closed, cut, silent"""
    earlier: tuple[bytes, ...] = ()
    """REPORT: the packed Reports before it that came in the same batch, oldest first"""

    def packed(self) -> tuple[object, ...]:
        """Its place in the payload, without the empty tail."""
        kind, device_id, session, gateway, identity, report, reason, earlier = self
        match kind:
            case Kind.REPORT:
                return (1, device_id, report, earlier) if earlier else (1, device_id, report)
            case Kind.HEARD:
                return (2, device_id)
            case Kind.JOIN:
                return (0, device_id, session, gateway, identity, report)
            case Kind.IDENTIFY:
                return (3, device_id, identity)
            case _:
                return (int(kind), device_id, session, reason)


class Event(NamedTuple):
    """One applied batch, and its place in the chain."""

    rev: int
    prev: str
    """the tip before; a mirror at another tip has missed something"""
    tip: str
    now_ms: int
    """the store's clock"""
    source: str
    """the gateway whose batch it was, or `-`"""
    batch: int
    operations: list[Operation]


def pack_operations(operations: list[Operation]) -> bytes:
    """The payload of a batch."""
    return pack([operation.packed() for operation in operations])


def decode_event(data: bytes) -> Event:
    """A message of the events channel, without the operations that were skipped."""
    header, _, payload = data.partition(b"\n")
    rev, prev, tip, now_ms, source, batch, skipped = header.decode().split(" ")[:7]
    out = {int(index) for index in skipped.split(",") if index}
    operations = [
        _operation(raw)
        for index, raw in enumerate(unpack(payload))
        if index not in out and raw[0] in _KINDS  # a later version's: nothing that our mirror shows
    ]
    return Event(int(rev), prev, tip, int(now_ms), source, int(batch), operations)


def _operation(raw: tuple[Any, ...]) -> Operation:
    kind, device_id = _KINDS[raw[0]], raw[1].decode()
    match kind:
        case Kind.REPORT:
            earlier = raw[3] if len(raw) > 3 else ()
            return Operation(kind, device_id, "", "", b"", raw[2], "", earlier)
        case Kind.HEARD:
            return Operation(kind, device_id)
        case Kind.JOIN:
            return Operation(kind, device_id, raw[2].decode(), raw[3].decode(), raw[4], raw[5])
        case Kind.IDENTIFY:
            return Operation(kind, device_id, identity=raw[2])
        case _:
            return Operation(kind, device_id, raw[2].decode(), reason=raw[3].decode())


def pack_identity(identity: Identity) -> bytes:
    return pack_record(identity)


def unpack_identity(data: bytes) -> Identity:
    return unpack_record(Identity, data)


def pack_report(report: Report) -> bytes:
    return pack_record(report)


def unpack_report(data: bytes) -> Report:
    return unpack_record(Report, data)
