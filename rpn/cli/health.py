"""`rpn health`: ask gateways whether they are ready."""

from __future__ import annotations

import os
import sys

import click

from rpn.settings import AgentSettings, GatewaySettings, load

ANSWER_LIMIT_S = 3
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
    if server is None and not (os.environ.get("RPN_SERVER") or os.environ.get("RPN_SERVER_FILE")):
        own = load(GatewaySettings, os.environ)
        return [f"{'https' if own.tls_cert else 'http'}://{OWN}:{own.port}/readyz"]
    servers = load(AgentSettings, os.environ, server=server).server.split(",")
    return [ready_url(address.strip()) for address in servers if address.strip()]


def ready_url(server: str) -> str:
    """Where the gateway at `server` (ws, wss, http, https or a bare HOST:PORT) says if it is ready."""
    scheme, separator, rest = server.partition("://")
    if not separator:
        scheme, rest = "http", server
    scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return f"{scheme}://{rest.rstrip('/').removesuffix('/ws')}/readyz"


def _ask(url: str) -> str:
    """What is wrong with the gateway; nothing if it is ready."""
    import ssl
    import urllib.error
    import urllib.request

    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if url.startswith(f"https://{OWN}:"):
        handlers.append(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))  # noqa: S323
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(url, timeout=ANSWER_LIMIT_S):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"not ready (HTTP {error.code})"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return f"no answer ({reason})"
