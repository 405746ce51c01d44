"""uvicorn, told when to start and when to stop by us and not by signals."""

from __future__ import annotations

import contextlib
import socket
import ssl
from asyncio import Protocol
from collections.abc import Iterator
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from gateway.front import Front
from gateway.ration import Ration
from gateway.turnstile import Turnstile
from gateway.wire import Wire
from rpn.errors import BadSettings
from rpn.settings import GatewaySettings

MESSAGE_LIMIT = 1024 * 1024
"""bytes of one message from a client"""
BACKLOG = 2048
ACCEPTED_IN_A_TURN = 32
"""new connections that one turn of the event loop may take"""


class Server(uvicorn.Server):
    """uvicorn's server; we drain before it closes anything, because it closes with 1012."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_for(
    app: ASGIApp, *, tls: ssl.SSLContext | None = None, message_limit: int = MESSAGE_LIMIT
) -> Server:
    """A server for `app` with our WebSocket protocol and our limits; encrypted if it is given how."""
    return Server(
        uvicorn.Config(
            app,
            http=cast("type[Protocol]", partial(Front, turnstile=Turnstile())),
            ws=cast("type[Protocol]", partial(Wire, ration=Ration())),
            ws_max_size=message_limit,
            ws_per_message_deflate=False,
            ssl_context_factory=(lambda config, made: tls) if tls is not None else None,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )


def widened(listener: socket.socket) -> list[socket.socket]:
    """`listener`, and copies of it: uvloop takes one connection of each in a turn of the event loop.

    With one alone, whoever comes behind a thousand others waits for a thousand turns.
    """
    return [listener, *(listener.dup() for _ in range(ACCEPTED_IN_A_TURN - 1))]


def listen(settings: GatewaySettings) -> socket.socket:
    """The listening socket. Raises BadSettings when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise BadSettings(
            f"RPN_HOST, RPN_PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        ) from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
