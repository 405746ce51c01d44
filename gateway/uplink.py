"""What devices say, on its way into the store: gathered by device, batched by tick.

One batch is under way at a time; what comes meanwhile makes the next. Until a batch's outcome is
known it is sent again byte for byte, so nothing is applied twice and nothing is lost. Every report
is told, in order, unless the store is away or far behind: then each device's latest has to do.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from time import perf_counter

from gateway.metrics import Counters
from gateway.peer import Peer
from gateway.pending import Pending
from rpn.errors import NotJoined, StoreUnavailable, Superseded
from rpn.events import Kind
from rpn.store.pool import SAME, WHOEVER, Applied, Guarded, InboxItem, PoolStore, Resync, new_tip

log = logging.getLogger(__name__)

BATCH_LIMIT = 200 * 1024
"""bytes of reports and identities in one batch"""
BATCH_COUNT = 1000
"""operations in one batch"""
GATHER_S, GATHER_EACH_S, GATHER_LIMIT_S = 0.004, 0.0002, 0.03
"""after a batch: the pause to gather the next, what each operation of this one adds to it, and its limit"""
BEHIND_LIMIT = 2 * 1024 * 1024
"""bytes of reports that may wait; when more do, the store is behind and they are folded"""
RENEW_S = 1.0
JOIN_LIMIT_S = 2.0
"""how long a join may take; never applied later, so it cannot supersede a newer session"""


def pause_after(operations: int) -> float:
    """How long to gather after a batch: a round trip costs about as much as eighty operations."""
    return min(GATHER_S + operations * GATHER_EACH_S, GATHER_LIMIT_S)


class Uplink:
    """This gateway's writer to the store; `available` tells whether the last round trip came back."""

    def __init__(
        self, store: PoolStore, counters: Counters, *, lease_s: float, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._counters = counters
        self._lease_ms = int(lease_s * 1000)
        self._now_ms = now_ms
        self._wake = asyncio.Event()
        self._pending: dict[str, Pending] = {}
        self._waiting = 0
        """bytes of reports in `_pending`, or a little more"""
        self._number = 1
        self.gateway = secrets.token_hex(6)
        """our id in the store; a new one after a resync"""
        self.available = True
        self.idle = asyncio.Event()
        self.on_resync: Callable[[], None] = lambda: None
        """the store has forgotten us: everybody of ours must join again"""
        self.on_joined: Callable[[Peer, list[InboxItem]], None] = lambda peer, inbox: None
        """a join was applied; this waited for its device"""

    # --- what a device says -------------------------------------------------------------------

    def join(self, peer: Peer) -> None:
        """A new session for its device; supersedes any other."""
        before = self._pending.get(peer.device_id)
        pending = self._pending[peer.device_id] = Pending(peer)
        if before is not None and before.join and before.fresh:
            before.peer.close(Superseded("a newer connection registered this device"))
            before = before.before
        pending.before = before
        pending.join = pending.fresh = True
        pending.until_ms = self._now_ms() + int(JOIN_LIMIT_S * 1000)
        self._stir()

    def rejoin(self, peer: Peer) -> None:
        """The store has lost this session: bring it back, unless another took its device over."""
        pending = self._pending.get(peer.device_id)
        if pending is None or pending.peer is not peer:
            pending = self._pending[peer.device_id] = Pending(peer)
        if not pending.join:
            pending.join, pending.fresh, pending.until_ms = True, False, 0
        self._stir()

    def identify(self, peer: Peer) -> None:
        self._of(peer).identify = True
        self._stir()

    def report(self, peer: Peer, report: bytes) -> None:
        """What it measured, as a packed Report."""
        pending = self._of(peer)
        if pending.reports and (self._waiting > BEHIND_LIMIT or not self.available):
            self._counters.folded += len(pending.reports)
            pending.reports = [report]
        else:
            pending.reports.append(report)
            self._waiting += len(report)
        self._stir()

    def heard(self, peer: Peer) -> None:
        """It is still there: no hurry, the next batch tells, or the renewal of our lease."""
        self._of(peer)

    def lose(self, peer: Peer) -> None:
        """Its socket broke; it may come back."""
        self._end(peer, Kind.LOSE, "cut")

    def leave(self, peer: Peer, reason: str) -> None:
        """It is no longer in the pool."""
        self._end(peer, Kind.LEAVE, reason)

    def _end(self, peer: Peer, kind: Kind, reason: str) -> None:
        pending = self._pending.get(peer.device_id)
        if pending is not None and pending.peer is not peer:
            return  # a newer connection speaks for the device already
        if pending is not None and pending.join and pending.fresh:
            if pending.before is None:
                del self._pending[peer.device_id]  # nobody has heard of it yet
            else:
                self._pending[peer.device_id] = pending.before
            return
        self._of(peer).end = (kind, reason)
        self._stir()

    def _of(self, peer: Peer) -> Pending:
        """What gathers for `peer`; nowhere, while what a newer connection said has still to go."""
        pending = self._pending.get(peer.device_id)
        if pending is None:
            pending = self._pending[peer.device_id] = Pending(peer)
        return pending if pending.peer is peer else Pending(peer)

    def _stir(self) -> None:
        self._wake.set()
        self.idle.clear()

    # --- batches ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write batches for ever; an empty one each second renews the gateway's lease."""
        while True:
            if not self._wake.is_set():
                if not self._pending:
                    self.idle.set()
                try:
                    async with asyncio.timeout(RENEW_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            self._wake.clear()
            peers, batch = self._take()
            await self._apply(peers, batch)
            if batch and self._waiting < BATCH_LIMIT:  # else there is nothing to gain: the next one is full
                await asyncio.sleep(pause_after(len(batch)))

    def _take(self) -> tuple[list[Peer], list[Guarded]]:
        """The next batch: at most one operation a device, and not too much at once."""
        peers: list[Peer] = []
        batch: list[Guarded] = []
        size = 0
        for device_id in list(self._pending):
            if size > BATCH_LIMIT or len(batch) >= BATCH_COUNT:
                break
            pending = self._pending[device_id]
            guarded, more = pending.take(self.gateway, BATCH_LIMIT - size)
            if not more:
                del self._pending[device_id]
            peers.append(pending.peer)
            batch.append(guarded)
            size += guarded.size
        self._waiting = 0
        if self._pending:
            self._waiting = sum(len(each) for pending in self._pending.values() for each in pending.reports)
            self._wake.set()
        return peers, batch

    async def _apply(self, peers: list[Peer], batch: list[Guarded]) -> None:
        """Apply one batch, however long it takes to know that it was."""
        number, tip, pause_s = self._number, new_tip(), 0.02
        while True:
            start_s = perf_counter()
            try:
                applied = await self._store.apply(
                    self.gateway, number, batch, lease_ms=self._lease_ms, tip=tip
                )
            except StoreUnavailable as error:
                if self.available:
                    log.warning("cannot write to the pool: %s", error)
                self.available = False
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.5)
            except Resync:
                self._resync(peers, batch)
                return
            else:
                if not self.available:
                    log.warning("writing to the pool again")
                self.available = True
                self._number += 1
                self._counters.batch(len(batch), perf_counter() - start_s)
                self._answer(peers, batch, applied)
                return

    def _answer(self, peers: list[Peer], batch: list[Guarded], applied: Applied) -> None:
        """Tell each connection what became of its operation, where that matters."""
        for index, (peer, guarded) in enumerate(zip(peers, batch, strict=True)):
            if guarded.operation.kind is not Kind.JOIN:
                continue
            if index not in applied.skipped:
                self.on_joined(peer, applied.inboxes.get(index, []))
            elif guarded.expected == SAME:
                peer.close(Superseded("a newer connection registered this device"))
            else:
                peer.close(NotJoined("the pool's server did not answer in time"))

    def _resync(self, peers: list[Peer], batch: list[Guarded]) -> None:
        """Start over under a new id: nothing of the batch was applied."""
        log.warning("the pool has forgotten gateway %s: joining again", self.gateway)
        self.gateway, self._number = secrets.token_hex(6), 1
        for peer, guarded in zip(peers, batch, strict=True):
            if guarded.operation.kind is Kind.JOIN and not peer.gone:
                pending = self._of(peer)
                pending.join, pending.fresh = True, guarded.expected == WHOEVER
                pending.until_ms = guarded.until_ms
                self._stir()
        self.on_resync()
