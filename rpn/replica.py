"""A pool's mirror: what Redis holds about its devices, kept current event by event.

Pure: it neither reads a clock nor waits. A rim subscribes, loads a snapshot and feeds it events;
it answers each with what changed, and raises Gap when it has missed something and wants a new
snapshot.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum, auto
from functools import lru_cache
from math import fsum
from typing import NamedTuple

import msgspec

from rpn.events import Event, Identity, Kind, Operation, unpack_identity, unpack_report
from rpn.messages import ResourceChanged
from rpn.model import NO_RESOURCES, Device, PoolTotals, PoolUsage, Resources

_changed = msgspec.json.Decoder(ResourceChanged)
_encode = msgspec.json.encode


class Gap(Exception):
    """An event does not follow the one before: load a snapshot."""


class What(Enum):
    """What happened to a device, as far as anybody outside needs to know."""

    JOINED = auto()
    RESUMED = auto()
    """another session speaks for it, or it came back from being lost"""
    REPORTED = auto()
    RENAMED = auto()
    LOST = auto()
    LEFT = auto()


class Mirrored:
    """One device in the mirror."""

    __slots__ = (
        "_json",
        "_resources",
        "frame",
        "gateway",
        "id",
        "identity",
        "lost",
        "pool_usage",
        "presence",
        "seen_ms",
        "session",
    )

    def __init__(self, device_id: str, identity: Identity, session: str, gateway: str) -> None:
        self.id = device_id
        self.identity = identity
        self.speaks_from(session, gateway)
        self._resources: Resources | None = NO_RESOURCES
        self.pool_usage: PoolUsage | None = None
        self.frame = b""
        """the latest `resource_update`, ready made; empty before the first"""
        self.seen_ms = 0
        self.lost = False
        self._json = b""

    def speaks_from(self, session: str, gateway: str) -> None:
        """Who speaks for it, and where."""
        self.session = session
        self.gateway = gateway
        self.presence = f"{session} {gateway}"
        """both as the store keeps them: what a decision rests on"""

    def report(self, data: bytes) -> None:
        """Take over a packed Report."""
        if data:
            report = unpack_report(data)
            self.frame, self.pool_usage = report.frame, report.pool_usage
            self._resources = None

    @property
    def resources(self) -> Resources:
        """Its latest resources; read from the report only when somebody asks."""
        if self._resources is None:
            self._resources = _changed.decode(self.frame).resources
        return self._resources

    def heard(self, now_ms: int) -> None:
        self.seen_ms = now_ms
        self._json = b""

    @property
    def device(self) -> Device:
        """As clients see it."""
        return Device(
            self.id,
            self.identity.name,
            self.identity.platform,
            self.identity.ip_address,
            iso(self.seen_ms),
            not self.lost,
            self.resources,
        )

    @property
    def json(self) -> bytes:
        """`device`, encoded; kept until something changes."""
        if not self._json:
            self._json = _encode(self.device)
        return self._json


class Change(NamedTuple):
    """What happened to one device."""

    what: What
    device: Mirrored
    """as it is now; as it last was when it left"""
    old_session: str = ""
    """RESUMED: who spoke for it before, if another did"""
    renamed: bool = False
    """RESUMED: under another name, platform or address"""
    reason: str = ""
    """LEFT: closed, cut, silent; empty when a snapshot showed it"""
    earlier: tuple[bytes, ...] = ()
    """REPORTED: packed Reports that came just before its latest, oldest first"""


class Snapshot(NamedTuple):
    """All that Redis holds about a pool's devices, at one moment."""

    rev: int
    tip: str
    now_ms: int
    devices: dict[str, bytes]
    """packed Identity"""
    sessions: dict[str, str]
    """`session gateway`"""
    resources: dict[str, bytes]
    """packed Report"""
    seen_ms: dict[str, int]
    lost_ms: dict[str, int]


class Replica:
    """The mirror itself: `devices` by id, in the order in which they joined."""

    def __init__(self) -> None:
        self.devices: dict[str, Mirrored] = {}
        self.rev = 0
        self.tip = ""
        self._totals: tuple[int, PoolTotals] | None = None

    def apply(self, event: Event) -> list[Change]:
        """Take over one event; none when it was applied already. Raises Gap."""
        if event.prev != self.tip:
            if event.rev <= self.rev:
                return []
            raise Gap(f"at {self.rev}, got {event.rev}")
        self.rev, self.tip = event.rev, event.tip
        return [change for each in event.operations for change in self._operate(each, event.now_ms)]

    def load(self, snapshot: Snapshot) -> list[Change]:
        """Become what the snapshot says, also if it is older; answer what that changed."""
        self.rev, self.tip, self._totals = snapshot.rev, snapshot.tip, None
        changes: list[Change] = []
        for device_id in self.devices.keys() - snapshot.sessions.keys():
            changes += self._leave(device_id, "")
        for device_id in sorted(snapshot.sessions, key=lambda each: snapshot.seen_ms.get(each, 0)):
            changes += self._reconcile(device_id, snapshot)
        return changes

    @property
    def totals(self) -> PoolTotals:
        """The pool's sums, exact, worked out once a revision."""
        if self._totals is None or self._totals[0] != self.rev:
            self._totals = self.rev, total([device.resources for device in self.devices.values()])
        return self._totals[1]

    @property
    def devices_json(self) -> bytes:
        """The JSON list of all devices."""
        return b"[" + b",".join([device.json for device in self.devices.values()]) + b"]"

    def _operate(self, operation: Operation, now_ms: int) -> list[Change]:
        kind, device_id = operation.kind, operation.device_id
        if kind is Kind.JOIN:
            return self._join(operation, now_ms)
        if kind is Kind.LEAVE:
            return self._leave(device_id, operation.reason)
        device = self.devices.get(device_id)
        if device is None:  # pragma: no cover - the script names only devices that are there
            return []
        if kind is Kind.LOSE:
            device.lost = True
            device._json = b""
            return [Change(What.LOST, device)]
        device.heard(now_ms)
        if kind is Kind.REPORT:
            device.report(operation.report)
            return [Change(What.REPORTED, device, earlier=operation.earlier)]
        if kind is Kind.IDENTIFY:
            device.identity = unpack_identity(operation.identity)
            return [Change(What.RENAMED, device)]
        return []

    def _join(self, operation: Operation, now_ms: int) -> list[Change]:
        device = self.devices.get(operation.device_id)
        identity = unpack_identity(operation.identity)
        if device is None:
            device = Mirrored(operation.device_id, identity, operation.session, operation.gateway)
            self.devices[device.id] = device
            device.report(operation.report)
            device.heard(now_ms)
            return [Change(What.JOINED, device)]
        old = device.session if device.session != operation.session else ""
        resumed = Change(What.RESUMED, device, old_session=old, renamed=device.identity != identity)
        device.identity, device.lost = identity, False
        device.speaks_from(operation.session, operation.gateway)
        frame = device.frame
        device.report(operation.report)
        device.heard(now_ms)
        return [resumed] if device.frame == frame else [resumed, Change(What.REPORTED, device)]

    def _leave(self, device_id: str, reason: str) -> list[Change]:
        device = self.devices.pop(device_id, None)
        return [] if device is None else [Change(What.LEFT, device, reason=reason)]

    def _reconcile(self, device_id: str, snapshot: Snapshot) -> list[Change]:
        """Make one device what the snapshot says of it.

        A store that heard of a session earlier than we did has lost its latest report in a crash: we
        keep what we know until the device says it again.
        """
        session, _, gateway = snapshot.sessions[device_id].partition(" ")
        identity = snapshot.devices.get(device_id, b"")
        report = snapshot.resources.get(device_id, b"")
        seen_ms, lost = snapshot.seen_ms.get(device_id, 0), device_id in snapshot.lost_ms
        changes: list[Change] = []
        before = self.devices.get(device_id)
        if before is not None and before.session == session and _knows_less(seen_ms, report, before):
            report, seen_ms = b"", before.seen_ms
        elif before is not None and before.frame and not report:  # a report ends only with its device
            changes, before = self._leave(device_id, ""), None
        if before is None or before.presence != snapshot.sessions[device_id] or (before.lost and not lost):
            join = Operation(Kind.JOIN, device_id, session, gateway, identity, report)
            changes += self._join(join, seen_ms)
        else:
            changes += self._renew(before, unpack_identity(identity), report, seen_ms)
        device = self.devices[device_id]
        if lost and not device.lost:
            device.lost = True
            changes.append(Change(What.LOST, device))
        return changes

    def _renew(self, device: Mirrored, identity: Identity, report: bytes, seen_ms: int) -> list[Change]:
        """The same session, as the snapshot shows it."""
        changes: list[Change] = []
        frame = device.frame
        device.report(report)
        device.heard(seen_ms)
        if device.identity != identity:
            device.identity = identity
            changes.append(Change(What.RENAMED, device))
        if device.frame != frame:
            changes.append(Change(What.REPORTED, device))
        return changes


def _knows_less(seen_ms: int, report: bytes, device: Mirrored) -> bool:
    """Whether a snapshot that shows the same session is of before what we heard from it."""
    return (seen_ms, bool(report)) < (device.seen_ms, bool(device.frame))


def total(rows: list[Resources]) -> PoolTotals:
    """Plain sums of what devices last reported; a sum of ints stays an int."""
    return PoolTotals(
        total_cpu_available=_sum([r.cpu_available for r in rows]),
        total_cpu_cores=_sum([r.cpu_cores for r in rows]),
        total_memory_available=_sum([r.memory_available for r in rows]),
        total_storage_available=_sum([r.storage_available for r in rows]),
        total_gpus=sum(r.has_gpu for r in rows),
        devices=len(rows),
    )


def _sum(values: list[int | float]) -> int | float:
    return sum(values) if all(type(value) is int for value in values) else fsum(values)


@lru_cache(maxsize=256)
def iso(time_ms: int) -> str:
    """`2025-10-20T10:30:00.000Z` for a time in ms since 1970."""
    return f"{_second(time_ms // 1000)}.{time_ms % 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(time_s: int) -> str:
    """Most times that are told are of this second."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
