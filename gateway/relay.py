"""What happens in the pool, on its way to our clients: the mirror's changes, and our mailbox."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gateway.errands import Errands
from gateway.hub import Hub
from gateway.peer import Peer
from gateway.uplink import Uplink
from rpn.errors import Removed, StoreUnavailable, Superseded
from rpn.events import unpack_report
from rpn.replica import Change, What
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.mailbox import Inboxes, Letter, Mailbox
from rpn.store.pool import InboxItem

log = logging.getLogger(__name__)

RECEIPT_S = 6.0
"""after this long on a living socket, a plain client counts as having received"""
PLAIN = (b'{"type":"resource_allocation"', b'{"type":"task_result"', b'{"type":"error"')
"""all that is ever addressed to a plain client"""


class Receipt(NamedTuple):
    """A message that a plain client will have received by then."""

    at_s: float
    peer: Peer
    inbox_id: str


class Relay:
    """Carries what the pool says to those of our clients whom it concerns."""

    def __init__(
        self, connection: Connection, keys: Keys, hub: Hub, uplink: Uplink, errands: Errands
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._hub = hub
        self._uplink = uplink
        self._errands = errands
        self._inboxes = Inboxes(connection, keys)
        self._receipts: deque[Receipt] = deque()
        self.on_answer: Callable[[str, bytes], None] = lambda call_id, answer: None
        """hears of every letter for a call: its id, and the answer"""
        self.received: list[tuple[str, str]] = []
        """(device, inbox id) to be forgotten by the store"""

    # --- the mirror ---------------------------------------------------------------------------

    def on_changes(self, changes: list[Change]) -> None:
        """One event's changes: tell everybody, then let in those of ours who joined by it."""
        newcomers: list[Peer] = []
        for change in changes:
            device = change.device
            match change.what:
                case What.REPORTED:
                    for report in change.earlier:
                        self._hub.resource_update(device.id, unpack_report(report).frame)
                    self._hub.resource_update(device.id, change.device.frame)
                case What.JOINED:
                    self._hub.device_joined(device)
                    newcomers += self._joining(change)
                case What.RESUMED:
                    self._resumed(change)
                    newcomers += self._joining(change)
                case What.RENAMED:
                    self._hub.list_changed()
                    newcomers += self._ours(change)
                case What.LEFT:
                    self._left(change)
                case What.LOST:
                    pass
        for peer in newcomers:
            self._let_in(peer)

    def _ours(self, change: Change) -> list[Peer]:
        peer = self._hub.peers.get(change.device.id)
        return [peer] if peer is not None and peer.session_id == change.device.session else []

    def _joining(self, change: Change) -> list[Peer]:
        return [peer for peer in self._ours(change) if not peer.joined]

    def _resumed(self, change: Change) -> None:
        """Another session speaks for a device: the older connection, if it is ours, is over."""
        older = self._hub.sessions.get(change.old_session)
        if older is not None:
            self._hub.drop(older)
            older.close(Superseded("a newer connection registered this device"))
        if change.renamed:
            self._hub.list_changed()

    def _left(self, change: Change) -> None:
        device = change.device
        self._hub.device_left(device.id)
        for peer in self._ours(change):
            if not peer.joined or peer.gone:
                continue
            if change.reason:
                self._hub.drop(peer)
                peer.close(Removed("the pool counted this device as gone: register again"))
            else:
                self._uplink.rejoin(peer)

    def _let_in(self, peer: Peer) -> None:
        """Its list first, then what waited for it, then what it asked for meanwhile."""
        self._hub.welcome(peer)
        waiting, peer.waiting = peer.waiting, []
        for item in waiting:
            self._deliver(peer, item.id, item.frame)
        self._errands.release(peer)

    # --- what is addressed --------------------------------------------------------------------

    def on_inbox(self, peer: Peer, inbox: list[InboxItem]) -> None:
        """A join was applied: this waited in the device's inbox."""
        for item in inbox:
            self._receive(peer, item)

    def _receive(self, peer: Peer, item: InboxItem) -> None:
        if peer.joined:
            self._deliver(peer, item.id, item.frame)
        else:
            peer.waiting.append(item)

    def on_letter(self, letter: Letter) -> None:
        """A message for a call, or for one session; anybody else's is not for us to deliver."""
        if not letter.device_id:
            self.on_answer(letter.session, letter.frame)
            return
        peer = self._hub.peers.get(letter.device_id)
        if peer is not None and peer.session_id == letter.session:
            self._receive(peer, InboxItem(letter.inbox_id, letter.frame))

    def _deliver(self, peer: Peer, inbox_id: str, message: bytes) -> None:
        if not peer.session.opted_in and not message.startswith(PLAIN):
            return
        self._hub.deliver(peer, message)
        if inbox_id and "acks" not in peer.session.accepts:
            now_s = asyncio.get_running_loop().time()
            self._receipts.append(Receipt(now_s + RECEIPT_S, peer, inbox_id))

    async def read_mailbox(self) -> None:
        """Deliver what our mailbox holds, for ever; it changes with our id."""
        while True:
            gateway = self._uplink.gateway
            reading = asyncio.ensure_future(self._read(gateway))
            try:
                while self._uplink.gateway == gateway and not reading.done():
                    await asyncio.wait((reading,), timeout=1.0)
            finally:
                reading.cancel()
            await asyncio.wait((reading,))
            if not reading.cancelled():
                reading.result()

    async def _read(self, gateway: str) -> None:
        pause_s = 0.02
        mailbox = Mailbox(self._connection, self._keys, gateway)
        while True:
            try:
                async for letters in mailbox.letters():
                    pause_s = 0.02
                    for letter in letters:
                        self.on_letter(letter)
            except StoreUnavailable as error:
                log.debug("cannot read the mailbox: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.5)

    async def settle_receipts(self) -> None:
        """Tell the store what has arrived, once a second."""
        while True:
            await asyncio.sleep(1.0)
            now_s = asyncio.get_running_loop().time()
            while self._receipts and self._receipts[0].at_s <= now_s:
                _, peer, inbox_id = self._receipts.popleft()
                if not peer.gone and not peer.lagging:
                    self.received.append((peer.device_id, inbox_id))
            if self.received:
                received, self.received = self.received, []
                try:
                    await self._inboxes.received(received)
                except StoreUnavailable:
                    self.received += received
