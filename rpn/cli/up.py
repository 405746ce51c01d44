"""`rpn up`: a whole pool on this machine, from one command."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from rpn import __version__
from rpn.cli.flags import flags_for, with_flags
from rpn.cli.lan import require_lan_extra
from rpn.cli.server_extra import require_server_extra
from rpn.errors import ServerFailed
from rpn.exposure import check_exposure
from rpn.settings import (
    AgentSettings,
    GatewaySettings,
    SchedulerSettings,
    StoreSettings,
    UpSettings,
    load,
    speaks_tls,
)

if TYPE_CHECKING:
    from rpn.cli.certfiles import CertFiles
    from rpn.cli.plan import Plan
    from rpn.cli.terminal import Terminal

PASSED_ON = (GatewaySettings, SchedulerSettings, AgentSettings)
EVERYWHERE_HERE = "0.0.0.0"  # noqa: S104 - that is what `--lan` asks for, and tokens with it


@click.command(short_help="Start a whole pool on this machine.")
@flags_for(UpSettings, besides=("tls", "lan"))
@click.option("--redis-url", metavar="URL", help="RPN_REDIS_URL; a server of our own is started unless told")
@click.option("--no-agent", is_flag=True, help="leave this machine out of the pool")
@click.option(
    "--lan", is_flag=True, help="let machines of this network in, by token, and tell them of the pool"
)
@click.option("--tls", is_flag=True, help="speak https, by a certificate made here at the first start")
@click.option("--allow-python", is_flag=True, help="let submitters run Python functions on this machine")
@click.option("--verbose", "-v", is_flag=True, help="show all that the processes log, not warnings alone")
def up(
    redis_url: str | None,
    no_agent: bool,
    lan: bool,
    tls: bool,
    allow_python: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Start a whole pool on this machine: a store, gateways, a scheduler and an agent.

    Every other setting (RPN_...) goes on to the processes it is for.

    \b
    Example:
      rpn up
      rpn up --gateways 3 --port 4000
      rpn up --lan --tls
    """
    require_server_extra()
    flags |= {"tls": "yes" if tls else None, "lan": "yes" if lan else None}
    settings, told_for_lan = _for_the_network(load(UpSettings, os.environ, **flags), flags)
    told = told_for_lan | {
        "redis_url": redis_url,
        "log_level": settings.log_level,
        "log_format": settings.log_format,
    }
    told |= {"allow_python": "yes"} if allow_python else {}
    environ = with_flags(os.environ, told)
    for kind in PASSED_ON:
        load(kind, environ)  # a bad setting is told once, here, before anything starts
    gateway = load(GatewaySettings, environ, host=settings.host)
    check_exposure(gateway)
    _run(settings, environ, with_agent=not no_agent, guarded=gateway.auth == "token", verbose=verbose)


def _for_the_network(settings: UpSettings, flags: dict[str, Any]) -> tuple[UpSettings, dict[str, Any]]:
    """With `--lan`: where to listen, and that tokens are asked for, unless somebody said otherwise."""
    if settings.lan == "no":
        return settings, {}
    require_lan_extra()
    if not (flags["host"] or os.environ.get("RPN_HOST")):
        settings = structs.replace(settings, host=EVERYWHERE_HERE)
    return settings, {} if os.environ.get("RPN_AUTH") else {"auth": "token"}


def _run(
    settings: UpSettings, environ: dict[str, str], *, with_agent: bool, guarded: bool, verbose: bool
) -> None:
    from rpn.cli.keyfiles import key_files
    from rpn.cli.plan import Plan
    from rpn.cli.ports import free_ports
    from rpn.store.embedded import DataLock

    data_dir = Path(settings.data_dir).expanduser().absolute()
    lock = DataLock(data_dir, "rpn up")
    lock.take()
    plan = Plan(
        data_dir=data_dir,
        host=settings.host,
        ports=free_ports(settings.host, settings.port, settings.gateways),
        redis_url=_given_server(environ),
        with_agent=with_agent,
        environ=environ,
        keys=key_files(data_dir) if guarded else None,
        certificate=_certificate(settings, data_dir),
        lan=settings.lan == "yes",
    )
    kept = asyncio.run(_supervise(plan, settings, verbose=verbose))
    lock.release()
    sys.exit(0 if kept else 1)


def _certificate(settings: UpSettings, data_dir: Path) -> CertFiles | None:
    """By what the gateways speak TLS: what was named, or is made here; None: plainly. Raises RPNError."""
    from rpn.cli.address import far
    from rpn.cli.certfiles import CertFiles, cert_files
    from rpn.client.trust import rely_on

    if speaks_tls(settings):
        found = CertFiles(Path(settings.tls_cert).absolute(), Path(settings.tls_key).absolute())
    elif settings.tls == "yes":
        found = cert_files(data_dir, far(settings.host))
    else:
        return None
    rely_on(found.text)
    return found


async def _supervise(plan: Plan, settings: UpSettings, *, verbose: bool) -> bool:
    from rpn.cli.supervisor import Supervisor
    from rpn.cli.terminal import Terminal

    terminal = Terminal(json_lines=settings.log_format == "json")
    verbose = verbose or settings.log_level == "debug"
    supervisor = Supervisor(terminal, _log_dir(plan.data_dir), verbose=verbose)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(_tell_the_network(plan, terminal))
        kept = await supervisor.run(plan.stages(), lambda: terminal.welcome(__version__, _welcome(plan)))
        telling.cancel()
    return kept


async def _tell_the_network(plan: Plan, terminal: Terminal) -> None:
    """With `--lan`: until cancelled. A network that takes no word of us is no reason to stop."""
    from rpn.cli.lan import announced

    if not plan.lan:
        return
    asks, tls = plan.keys is not None, plan.certificate is not None
    try:
        async with announced(plan.host, plan.ports[0], asks=asks, tls=tls):
            await asyncio.Event().wait()
    except Exception as error:  # whatever it is about the network
        terminal.say(f"the network is not told of this pool: {error}")


def _welcome(plan: Plan) -> list[tuple[str, list[str]]]:
    from rpn.cli.first_visit import first_ticket

    first = plan.keys is not None and plan.keys.fresh
    return plan.welcome(first_ticket(plan.web, plan.keys.admin) if first and plan.keys else "")


def _given_server(environ: dict[str, str]) -> str | None:
    """The server that the user named, if one was named."""
    if environ.get("RPN_REDIS_URL") or environ.get("RPN_REDIS_URL_FILE"):
        return load(StoreSettings, environ).redis_url
    return None


def _log_dir(data_dir: Path) -> Path:
    directory = data_dir / "logs"
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise ServerFailed(f"cannot write in {directory}: {error.strerror}") from None
    return directory
