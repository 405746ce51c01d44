"""A gateway process: `python -P -m gateway`, settings from RPN_*."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys

from gateway.app import Gateway
from gateway.server import listen, server_for, widened
from gateway.tls import tls_context
from rpn import eventloop
from rpn.errors import RPNError, StoreFormatError
from rpn.exposure import check_exposure, exposed
from rpn.observe import configure_logging
from rpn.service import cause, serve, stop_on_signals
from rpn.settings import GatewaySettings, load
from rpn.store.connection import Connection

log = logging.getLogger("gateway")

GC_THRESHOLD = (50_000, 20, 50)
"""how many new objects between two collections; a herd of connections makes many that all stay"""


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stop = stop_on_signals()
    tls = tls_context(settings)
    listener = listen(settings)
    connection = Connection(settings.redis_url, pool=settings.pool, durability=settings.durability)
    gateway = Gateway(settings, connection)
    server = server_for(gateway.asgi, tls=tls)
    log.info("listening on %s:%d%s", *listener.getsockname()[:2], " by TLS" if tls is not None else "")
    if exposed(settings):
        log.warning("open on %s: whoever reaches it may use this pool (RPN_INSECURE_OPEN)", settings.host)

    served = asyncio.Event()

    async def serve_http() -> None:
        try:
            await server.serve(sockets=widened(listener))
        finally:
            served.set()

    async def drain() -> None:
        await gateway.drain()
        server.should_exit = True
        await served.wait()  # what is being answered is answered

    gc.freeze()  # what stands now stands for good: the collector need not walk it again and again
    gc.set_threshold(*GC_THRESHOLD)
    try:
        await serve(*gateway.jobs(), serve_http, stop=stop, drain=drain)
    except BaseExceptionGroup as failure:
        raise cause(failure, StoreFormatError) or failure from None
    finally:
        await connection.close()


def main() -> int:
    try:
        settings = load(GatewaySettings, os.environ)
        check_exposure(settings)
        configure_logging(settings)
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        eventloop.run(run(settings))
    except RPNError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
