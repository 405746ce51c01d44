"""The door of the WebSocket: where what clients say and what they hear meet, for each connection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast, get_args

from starlette.types import Receive, Scope, Send

from gateway.answers import error_response
from gateway.auditor import Auditor
from gateway.bearers import bearer_of
from gateway.compact import SUBPROTOCOL, Compact
from gateway.desk import Desk
from gateway.hub import Hub
from gateway.metrics import Counters
from gateway.peer import Peer
from gateway.proof import make_nonce
from gateway.rations import Ration, Rations
from gateway.roles import Action
from gateway.session import State
from gateway.uplink import Uplink
from gateway.voices import Discreet
from gateway.wire import EXTENSION, Wire
from rpn.codec import decode_from_client, request_id_of
from rpn.errors import RateLimited, RPNError, TextOnly, TooManyErrors, Unavailable, Unregistered
from rpn.messages import FromClient, Register
from rpn.proof import NONCE_HEADER
from rpn.settings import GatewaySettings

log = logging.getLogger(__name__)


TAGS: dict[type[FromClient], str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(FromClient)}
"""what each kind of message is called in the metrics"""
PLAIN_SUBPROTOCOL = "rpn"
"""a browser that shows a ticket offers this beside it, because the answer must name one it offered"""
CUT = frozenset({1005, 1006})
"""what uvicorn says of a connection that nobody closed"""
FOR_GOOD = frozenset({1002, 1003, 1007, 1008, 1009})
"""close codes of ours after which a device is not expected back: it broke the rules"""


class Reception:
    """Takes what comes in on one connection; a refused message changes nothing."""

    def __init__(self, peer: Peer, desk: Desk, hub: Hub, counters: Counters, auditor: Auditor) -> None:
        self._peer = peer
        self._auditor = auditor
        self._desk = desk
        self._hub = hub
        self._counters = counters
        self._loop = asyncio.get_running_loop()

    def on_text(self, data: bytes) -> None:
        try:
            messages = decode_from_client(data)
        except RPNError as error:
            self._refuse(error, request_id_of(data))
        except Exception as error:
            self._fail(error)
        else:
            for message in messages if isinstance(messages, list) else (messages,):
                self._take(message)

    def _take(self, message: FromClient) -> None:
        peer = self._peer
        if peer.gone:
            return
        try:
            peer.session.admit(message)
            peer.heard_s = self._loop.time()
            self._desk.handle(peer, message)
        except RPNError as error:
            if not isinstance(message, Register):  # of those the registrar says more
                self._auditor.refused(peer.session.bearer.name, TAGS[type(message)], error, peer.address)
            self._refuse(error, message.request_id)
        except Exception as error:
            self._fail(error)
        else:
            self._counters.received[TAGS[type(message)]] += 1

    def on_binary(self, data: bytes) -> None:
        self._counters.refused[TextOnly.code] += 1
        self._peer.close(TextOnly("text frames only"))

    def on_writable(self) -> None:
        self._hub.catch_up(self._peer)

    def _refuse(self, error: RPNError, request_id: str | None) -> None:
        self._counters.refused[error.code] += 1
        if isinstance(error, Unavailable) or self._peer.errors.admits(self._loop.time()):
            self._peer.refuse(error, request_id)
        else:
            self._peer.close(TooManyErrors("too many errors"))

    def _fail(self, error: Exception) -> None:
        """A bug of ours: this client is told that there is one, nobody else notices."""
        log.error("while handling a message", exc_info=error)
        self._peer.close(error)


class RationedReception(Reception):
    """Of a client whose token has a quota."""

    def __init__(
        self, peer: Peer, desk: Desk, hub: Hub, counters: Counters, auditor: Auditor, ration: Ration
    ) -> None:
        super().__init__(peer, desk, hub, counters, auditor)
        self._ration = ration

    def _take(self, message: FromClient) -> None:
        try:
            self._ration.take(self._loop.time())
        except RateLimited as error:
            self._refuse(error, message.request_id)
        else:
            super()._take(message)


class Endpoint:
    """`/ws`, as an ASGI application."""

    def __init__(
        self,
        settings: GatewaySettings,
        desk: Desk,
        hub: Hub,
        uplink: Uplink,
        counters: Counters,
        auditor: Auditor,
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._hub = hub
        self._uplink = uplink
        self._counters = counters
        self._auditor = auditor
        self._rations = Rations()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bearer = bearer_of(scope)
        try:
            ration = self._rations.open(bearer, asyncio.get_running_loop().time())
        except RateLimited as error:
            self._counters.refused[error.code] += 1
            await receive()  # websocket.connect
            await error_response(error)(scope, receive, send)
            return
        try:
            await self._serve(scope, receive, send, ration)
        finally:
            if ration is not None:
                self._rations.close(bearer)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, ration: Ration | None) -> None:
        wire = cast("Wire", scope["extensions"][EXTENSION])
        loop = asyncio.get_running_loop()
        limit = self._settings.outbox_limit_kib * 1024
        bearer = bearer_of(scope)
        peer = Peer(wire, scope["client"][0], outbox_limit=limit, now_s=loop.time(), bearer=bearer)
        wire.receiver = self._reception(peer, ration)
        await receive()  # websocket.connect
        self._hub.connect(peer)
        code = 1006
        timer = loop.call_later(self._settings.register_limit_s, self._expect_registered, peer)
        try:
            await send(_accept(scope, peer))
            ended = await receive()  # websocket.disconnect: messages go straight to the receiver
            code = ended.get("code", 1005)
            if not wire.closed_by_peer and code not in CUT:
                self._counters.closed[code] += 1
        finally:
            timer.cancel()
            self._hub.disconnect(peer)
            self._gone(peer, for_good=wire.closed_by_peer or code in FOR_GOOD)

    def _reception(self, peer: Peer, ration: Ration | None) -> Reception:
        if ration is None:
            return Reception(peer, self._desk, self._hub, self._counters, self._auditor)
        return RationedReception(peer, self._desk, self._hub, self._counters, self._auditor, ration)

    def _expect_registered(self, peer: Peer) -> None:
        if peer.session.state is State.NEW:
            peer.close(Unregistered("neither registered nor observed in time"))

    def _gone(self, peer: Peer, *, for_good: bool) -> None:
        """The connection is over; what that means for its device depends on how it ended."""
        if peer.session_id and self._hub.speaks(peer):
            if for_good:
                self._uplink.leave(peer, "closed")
            else:
                self._uplink.lose(peer)
        self._hub.drop(peer)


def _accept(scope: Scope, peer: Peer) -> dict[str, Any]:
    """Let it in; one with a key is told what to sign, one with a ticket that its subprotocol is taken."""
    accept: dict[str, Any] = {"type": "websocket.accept"}
    record = peer.session.bearer.record
    if record is not None and record.public_key:
        peer.nonce = make_nonce()
        accept["headers"] = [(NONCE_HEADER.lower().encode(), peer.nonce.encode())]
    offered = scope.get("subprotocols", ())
    if Action.SEE_ADDRESSES not in peer.session.bearer.may:
        peer.voice, offered = Discreet, [each for each in offered if each != SUBPROTOCOL]
    elif SUBPROTOCOL in offered:
        peer.voice = Compact
    accept["subprotocol"] = next((each for each in (SUBPROTOCOL, PLAIN_SUBPROTOCOL) if each in offered), None)
    return accept
