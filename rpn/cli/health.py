"""`rpn health`: ask gateways whether they are ready."""

from __future__ import annotations

import os
import socket
import sys
from urllib.parse import SplitResult, urlsplit

import click

ANSWER_LIMIT_S = 3
LINE_LIMIT = 1024
"""bytes of an answer's first line"""
OWN = "127.0.0.1"
"""the gateway of this machine: whose certificate, if it has one, is for another name"""


@click.command(short_help="Ask gateways whether they are ready.")
@click.option(
    "--server",
    metavar="URL",
    help="gateways to ask, comma-separated (RPN_SERVER; without it the one on this machine's RPN_PORT)",
)
def health(server: str | None) -> None:
    """Ask gateways whether they are ready; exit 0 if all are, 1 if not.

    \b
    Example:
      rpn health --server desk.local:3000
    """
    answers = [(url, _ask(url)) for url in _ready_urls(server)]
    for url, fault in answers:
        click.echo(f"{url}: {fault or 'ready'}")
    sys.exit(any(fault for _, fault in answers))


def _ready_urls(server: str | None) -> list[str]:
    if server is not None:
        return _urls(server)
    from rpn.settings import AgentSettings, GatewaySettings, load

    if not (os.environ.get("RPN_SERVER") or os.environ.get("RPN_SERVER_FILE")):
        own = load(GatewaySettings, os.environ)
        return [f"{'https' if own.tls_cert else 'http'}://{OWN}:{own.port}/readyz"]
    return _urls(load(AgentSettings, os.environ).server)


def _urls(servers: str) -> list[str]:
    return [ready_url(address.strip()) for address in servers.split(",") if address.strip()]


def ready_url(server: str) -> str:
    """Where the gateway at `server` (ws, wss, http, https or a bare HOST:PORT) says if it is ready."""
    scheme, separator, rest = server.partition("://")
    if not separator:
        scheme, rest = "http", server
    scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return f"{scheme}://{rest.rstrip('/').removesuffix('/ws')}/readyz"


def _ask(url: str) -> str:
    """What is wrong with the gateway; nothing if it is ready.

    By a plain socket: containers ask every few seconds, and HTTP's own modules cost more than all else here.
    """
    parts = urlsplit(url)
    try:
        with _connected(parts) as connection:
            connection.sendall(f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
            with connection.makefile("rb") as answer:
                words = answer.readline(LINE_LIMIT).split()
    except (OSError, ValueError) as error:
        return f"no answer ({error})"
    status = words[1].decode("ascii", "replace") if len(words) > 1 else "no HTTP"
    return "" if status == "200" else f"not ready (HTTP {status})"


def _connected(parts: SplitResult) -> socket.socket:
    """A connection to the gateway of this URL. Raises OSError."""
    host, secure = parts.hostname or "", parts.scheme == "https"
    connection = socket.create_connection((host, parts.port or (443 if secure else 80)), ANSWER_LIMIT_S)
    if not secure:
        return connection
    import ssl

    from rpn.client.trust import client_tls

    try:
        context = ssl._create_unverified_context() if host == OWN else client_tls()  # noqa: S323
        return context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
