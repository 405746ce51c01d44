"""Whether a connection may register a device: is there room, does it come too often, is it its own?"""

from __future__ import annotations

import asyncio
import logging

from gateway.auditor import Auditor
from gateway.hub import Hub
from gateway.keyring import Keyring
from gateway.limits import REGISTER_LIMIT, REGISTER_SPAN_S, Window
from gateway.names import Names
from gateway.peer import Peer
from gateway.proof import proves
from rpn.errors import DeviceLimit, Forbidden, RateLimited, StoreUnavailable
from rpn.messages import Register
from rpn.replica import Replica
from rpn.store.tokens import TokenRecord, TokenStore
from rpn.tokens import TokenKind

log = logging.getLogger(__name__)

STORM_LIMIT, STORM_SPAN_S = 6, 60.0
"""how often a device with a token may change hands: two who hold a copy of it would do so for ever"""
BIND_AGAIN_S = 1.0


class Registrar:
    """Checks before anything changes; ties a token to the first device that it registers."""

    def __init__(
        self,
        hub: Hub,
        replica: Replica,
        keyring: Keyring,
        names: Names,
        store: TokenStore,
        auditor: Auditor,
        *,
        device_limit: int,
    ) -> None:
        self._hub = hub
        self._replica = replica
        self._keyring = keyring
        self._names = names
        self._store = store
        self._auditor = auditor
        self._device_limit = device_limit
        self._registers: dict[str, Window] = {}
        self._changes: dict[str, Window] = {}
        self._unbound: asyncio.Queue[Peer] = asyncio.Queue()

    def check(self, peer: Peer, message: Register) -> None:
        """Raise DeviceLimit, RateLimited or Forbidden; time is the running loop's."""
        now_s = asyncio.get_running_loop().time()
        self._check_room(message.device_id)
        self._check_rate(self._registers, message.device_id, now_s, REGISTER_LIMIT, REGISTER_SPAN_S)
        record = peer.session.bearer.record
        if record is None:
            return
        try:
            self._check_right(record, peer, message)
        except Forbidden:
            self._auditor.note(
                peer.session.bearer.name, f"register {message.device_id}", "refused", peer.address
            )
            raise
        self._check_storm(peer, message.device_id, now_s)

    def registered(self, peer: Peer) -> None:
        """It has; a device token that speaks for nobody yet speaks for this device from now on."""
        record = peer.session.bearer.record
        if record is not None and record.kind is TokenKind.DEVICE and not record.device_id:
            self._unbound.put_nowait(peer)

    async def run(self) -> None:
        """Tie tokens to their devices, one after the other."""
        while True:
            peer = await self._unbound.get()
            if not peer.gone and not await self._bound(peer):
                await asyncio.sleep(BIND_AGAIN_S)
                self._unbound.put_nowait(peer)

    async def _bound(self, peer: Peer) -> bool:
        """False if the store could not be asked."""
        record = self._keyring.get(peer.session.bearer.id)
        if record is None or record.device_id == peer.device_id:
            return True
        try:
            done = not record.device_id and await self._store.bind(record, peer.device_id)
            await self._keyring.refresh()
        except StoreUnavailable as error:
            log.debug("cannot tie a token to its device: %s", error)
            return False
        if not done:
            peer.close(Forbidden("another token or another device was faster"))
        return True

    def _check_room(self, device_id: str) -> None:
        if device_id not in self._hub.peers and len(self._hub.peers) >= self._device_limit:
            raise DeviceLimit(f"this gateway holds {self._device_limit} devices (RPN_DEVICE_LIMIT)")

    def _check_right(self, record: TokenRecord, peer: Peer, message: Register) -> None:
        """The device is this token's: by the token itself, by nobody else's claim, by proof of its key."""
        device_id = message.device_id
        if record.device_id and record.device_id != device_id:
            raise Forbidden(f"this token speaks for {record.device_id} alone")
        self._names.check(peer.session.bearer, device_id)
        if record.public_key and not proves(record.public_key, message.proof, peer.nonce, device_id):
            raise Forbidden("the proof does not fit this token's key and this connection")

    def _check_storm(self, peer: Peer, device_id: str, now_s: float) -> None:
        """Hold off a device that changes hands again and again."""
        there = self._replica.devices.get(device_id)
        if there is None or there.lost or there.session == peer.session_id:
            return
        try:
            self._check_rate(self._changes, device_id, now_s, STORM_LIMIT, STORM_SPAN_S)
        except RateLimited:
            self._note(peer, f"supersede {device_id}", "held off")
            raise

    def _note(self, peer: Peer, what: str, outcome: str) -> None:
        self._auditor.note(peer.session.bearer.name, what, outcome, peer.address)

    def _check_rate(
        self, windows: dict[str, Window], device_id: str, now_s: float, limit: int, span_s: float
    ) -> None:
        if len(windows) > 2 * self._device_limit:
            for idle in [key for key, window in windows.items() if window.idle(now_s)]:
                del windows[idle]
        if not windows.setdefault(device_id, Window(limit, span_s)).admits(now_s):
            raise RateLimited(f"{device_id} registers too often", retry_after_s=int(span_s))
