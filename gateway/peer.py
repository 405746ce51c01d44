"""One client at its socket: who it is, and what waits to be sent to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway import faults
from gateway.bearers import EVERYONE, Bearer
from gateway.frames import list_frames, text_frame
from gateway.leaflet import Leaflet
from gateway.limits import ERROR_LIMIT, ERROR_SPAN_S, Window
from gateway.session import Session
from gateway.voices import Voice
from gateway.wire import Wire
from rpn.codec import encode
from rpn.events import Identity
from rpn.messages import Error
from rpn.store.pool import InboxItem
from rpn.store.records import TaskStreamEntry
from rpn.store.steps import Step

ADDRESSED_LIMIT = 1024 * 1024
"""bytes of addressed messages that may wait for a client beyond its outbox limit"""
BURST_S, BURST_FACTOR = 0.5, 4
"""how long, and by how much, more than the outbox limit may wait for one who took everything until then

What everybody is sent is one object that all connections share: a moment in which many are a
little late costs that once, and nobody misses anything."""


class Peer:
    """A connected client; the hub decides what it hears, the uplink what it is to the pool."""

    def __init__(
        self, wire: Wire, address: str, *, outbox_limit: int, now_s: float, bearer: Bearer = EVERYONE
    ) -> None:
        self.wire = wire
        self.address = address
        self.session = Session(bearer)
        self.nonce = ""
        """what its client signs to prove whose device it is; it went out with the handshake"""
        self.errors = Window(ERROR_LIMIT, ERROR_SPAN_S)
        self.heard_s = self.noted_s = now_s
        """when it last said something, and what the pool was told of that"""

        # what it is to the pool
        self.session_id = ""
        """random, new at every `register` that joins"""
        self.identity = Identity("", "", "")
        self.entries: tuple[TaskStreamEntry, ...] = ()
        """what the scheduler must reconcile when it joins"""
        self.report = b""
        """the latest packed Report that went to the store; empty before the first"""
        self.joined = False
        """the mirror has seen it join: it has its list, and may ask for things"""
        self.join_by_s = 0.0
        self.older: Peer | None = None
        """the connection here that it supersedes, until it has joined"""
        self.held: list[tuple[Step[Any], Callable[[Any], None]]] = []
        """what it asked for before it had joined"""
        self.waiting: list[InboxItem] = []
        """what waited in its inbox when it joined"""

        # what it is sent
        self.hears = True
        """broadcasts, that is"""
        self.voice: type[Voice] = Voice
        """in which broadcasts go to it"""
        self.welcome: tuple[bytes, int] | None = None
        """its list, and from which frame of the round on it hears everything"""
        self.addressed: list[bytes] = []
        """messages to it alone, in this round"""
        self.list_version = -1
        """of the membership, in the last list it got"""
        self.outbox_limit = outbox_limit
        self.taken_s = now_s
        """when it was last found to have taken everything"""
        self.lagging = False
        self.missed: dict[str, bool] = {}
        """devices it heard nothing of while lagging -> they joined meanwhile"""
        self.progress_s = 0.0
        self.backlog = 0
        wire.limit_buffer(outbox_limit)

    @property
    def device_id(self) -> str:
        return self.session.device_id

    @property
    def gone(self) -> bool:
        return self.wire.close_sent or self.wire.disconnected

    def write(self, frames: bytes, now_s: float) -> None:
        """Send frames; a client that does not take them is lagging from here on."""
        self._before_write(now_s)
        self.wire.write(frames)
        self._after_write(now_s)

    def hand(self, leaflet: Leaflet, now_s: float) -> None:
        """The same with what everybody is sent."""
        self._before_write(now_s)
        self.wire.hand(leaflet)
        self._after_write(now_s)

    def _before_write(self, now_s: float) -> None:
        if not self.wire.buffered:
            self.taken_s = now_s

    def _after_write(self, now_s: float) -> None:
        buffered = self.wire.buffered
        if buffered > self.outbox_limit and not self.lagging and not self._bursts(buffered, now_s):
            self.lagging, self.progress_s, self.backlog = True, now_s, buffered

    def _bursts(self, buffered: int, now_s: float) -> bool:
        return buffered <= BURST_FACTOR * self.outbox_limit and now_s - self.taken_s <= BURST_S

    def write_addressed(self, now_s: float) -> int:
        """Send what is addressed to it; answers how many messages that were."""
        messages, self.addressed = self.addressed, []
        if self.session.opted_in:
            self.write(list_frames(messages), now_s)
        else:
            self.write(b"".join([text_frame(message) for message in messages]), now_s)
        return len(messages)

    def stuck(self, now_s: float, limit_s: float) -> bool:
        """It has taken nothing for `limit_s`, or too much waits for it."""
        if not self.lagging:
            return False
        buffered = self.wire.buffered
        if buffered < self.backlog:
            self.progress_s = now_s
        self.backlog = buffered
        return now_s - self.progress_s > limit_s

    def refuse(self, error: Exception, request_id: str | None) -> None:
        """Tell the client that a message of it was refused, at once and past everything else."""
        text, code = faults.told(error)
        self.wire.write(text_frame(encode(Error(error=text, code=code, request_id=request_id))))

    def close(self, error: Exception) -> None:
        """Close for this reason."""
        answer = faults.answer(error)
        text, code = faults.told(error)
        self.wire.close(answer.close or 1008, code.lower() if answer.close != 1011 else text[:100])
