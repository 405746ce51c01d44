"""Go away politely: take nobody in, tell those who asked to be told, close everybody, spread out."""

from __future__ import annotations

import asyncio
import logging

from gateway.door import Door
from gateway.frames import text_frame
from gateway.hub import Hub
from gateway.uplink import Uplink
from rpn.codec import encode
from rpn.errors import Draining, StoreUnavailable
from rpn.messages import ServerDraining
from rpn.store.pool import PoolStore

log = logging.getLogger(__name__)

SPACING_S = 0.02
"""between two closes, at most"""
RECONNECT_AFTER_MS = 250
"""when clients that can be told should come back"""
FLUSH_LIMIT_S = 2.0
"""how long the store may take to hear of the last closes"""


async def give_notice(door: Door, notice_s: float) -> None:
    """Be no longer ready, and serve on until balancers have seen it.

    Without it, clients of one gateway that drains are sent to another that has begun to, just because
    it has so few left.
    """
    door.leaving = True
    await asyncio.sleep(notice_s)


async def drain(door: Door, hub: Hub, uplink: Uplink, store: PoolStore, *, drain_s: float) -> None:
    """Close all connections with 1001 over at most `drain_s`; devices may come back elsewhere."""
    door.leaving = door.draining = True
    peers = list(hub.connected)
    log.info("draining %d connections", len(peers))
    frame = text_frame(encode(ServerDraining(reconnect_after_ms=RECONNECT_AFTER_MS)))
    for peer in peers:
        if peer.session.opted_in:
            peer.wire.write(frame)  # now: the next round may come after the close
    spacing_s = min(SPACING_S, drain_s / (len(peers) or 1))
    for peer in peers:
        if peer.session_id and hub.speaks(peer):
            uplink.lose(peer)
        hub.drop(peer)
        peer.close(Draining("this gateway is going away"))
        await asyncio.sleep(spacing_s)
    try:
        async with asyncio.timeout(FLUSH_LIMIT_S):
            await uplink.idle.wait()
            if hub.connected:
                await hub.empty.wait()
            await store.forget_gateway(uplink.gateway)
    except (TimeoutError, StoreUnavailable):
        log.warning("left without telling the pool everything: it will find out by itself")
