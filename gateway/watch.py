"""Once a second: close those who fell silent, who take nothing, or whose join was never applied."""

from __future__ import annotations

import asyncio

from gateway.frames import text_frame
from gateway.hub import Hub
from gateway.peer import Peer
from gateway.uplink import Uplink
from rpn.codec import encode
from rpn.errors import NotJoined, RPNError, Silent, Slow, StoreUnavailable
from rpn.messages import Error
from rpn.settings import GatewaySettings

EVERY_S = 1.0
FROZEN_S = 3.0
"""a round this late means that this process stood still: whoever spoke meanwhile is not silent"""


class Watch:
    """Looks after the connections of this gateway."""

    def __init__(self, settings: GatewaySettings, hub: Hub, uplink: Uplink) -> None:
        self._settings = settings
        self._hub = hub
        self._uplink = uplink
        self._not_before_s = 0.0

    async def run(self) -> None:
        """Watch for ever."""
        loop = asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            await asyncio.sleep(EVERY_S)
            now_s = loop.time()
            if now_s - last_s > FROZEN_S:
                self._not_before_s = now_s + FROZEN_S
            last_s = now_s
            self.look(now_s)

    def look(self, now_s: float) -> None:
        """One round."""
        for peer in list(self._hub.sessions.values()):
            if not peer.joined and now_s > peer.join_by_s:
                self._give_up(peer)
            elif now_s - peer.heard_s > self._settings.silence_limit_s and now_s > self._not_before_s:
                limit_s = self._settings.silence_limit_s
                self._uplink.leave(peer, "silent")
                self._close(peer, Silent(f"nothing heard for {limit_s:g} s"))
        for peer in self._hub.stuck(self._settings.slow_limit_s):
            self._uplink_lose(peer)
            self._close(peer, Slow("took nothing of what was sent"))

    def _give_up(self, peer: Peer) -> None:
        """The store did not answer: the device is not in the pool, and the client must know."""
        unavailable = StoreUnavailable("the pool's server cannot be reached: try again")
        error = Error(error=str(unavailable), code=unavailable.code)
        peer.wire.write(text_frame(encode(error)))
        self._uplink_lose(peer)
        self._close(peer, NotJoined("the pool's server did not answer in time"))

    def _uplink_lose(self, peer: Peer) -> None:
        if peer.session_id:
            self._uplink.lose(peer)

    def _close(self, peer: Peer, error: RPNError) -> None:
        self._hub.drop(peer)
        peer.close(error)
