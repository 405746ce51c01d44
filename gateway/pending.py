"""What the store has still to hear of one device, and the next operation that tells it."""

from __future__ import annotations

from gateway.peer import Peer
from rpn.events import Kind, Operation, pack_identity
from rpn.store.pool import SAME, WHOEVER, Guarded


class Pending:
    """Gathers what one connection says until its turn in a batch comes."""

    __slots__ = ("before", "end", "fresh", "identify", "join", "peer", "reports", "until_ms")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.before: Pending | None = None
        """what was still to be told of the connection that a fresh join supersedes"""
        self.join = False
        self.fresh = False
        """a join that supersedes whoever is there; else one made again after a resync"""
        self.until_ms = 0
        self.identify = False
        self.reports: list[bytes] = []
        """packed Reports, oldest first"""
        self.end: tuple[Kind, str] | None = None
        """how it goes: (LOSE or LEAVE, reason)"""

    def take(self, gateway: str, room: int) -> tuple[Guarded, bool]:
        """The next operation, with about `room` bytes of reports, and whether more is left.

        A device has one operation in a batch: first it joins, then it says things, at last it goes.
        """
        if self.join:
            return self._take_join(gateway), bool(self.reports) or self.end is not None
        operation, presence = self._take_operation(room), f"{self.peer.session_id} {gateway}"
        return Guarded(operation, presence), bool(self.reports) or (
            self.end is not None and operation.kind not in (Kind.LOSE, Kind.LEAVE)
        )

    def _take_join(self, gateway: str) -> Guarded:
        self.join = self.identify = False
        peer = self.peer
        identity = pack_identity(peer.identity)
        join = Operation(Kind.JOIN, peer.device_id, peer.session_id, gateway, identity, peer.report)
        return Guarded(join, WHOEVER if self.fresh else SAME, peer.entries, self.until_ms)

    def _take_operation(self, room: int) -> Operation:
        peer = self.peer
        if self.identify:
            self.identify = False
            return Operation(Kind.IDENTIFY, peer.device_id, identity=pack_identity(peer.identity))
        if self.reports:
            *earlier, peer.report = self._take_reports(room)
            return Operation(Kind.REPORT, peer.device_id, report=peer.report, earlier=tuple(earlier))
        if self.end is not None:
            kind, reason = self.end
            return Operation(kind, peer.device_id, peer.session_id, reason=reason)
        return Operation(Kind.HEARD, peer.device_id)

    def _take_reports(self, room: int) -> list[bytes]:
        """The oldest reports, one at least."""
        count, size = 1, len(self.reports[0])
        while count < len(self.reports) and (size := size + len(self.reports[count])) <= room:
            count += 1
        taken, self.reports = self.reports[:count], self.reports[count:]
        return taken
