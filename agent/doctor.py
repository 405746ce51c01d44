"""`python -P -m agent.doctor`: what is well on this machine for an agent, and what is not."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent import bubblewrap, identity, landlock, seccomp, users, whereto
from agent.config import FILE_NAME, AgentConfig, load_config
from agent.gpu import GpuProbe
from agent.platforms import this_platform
from rpn.client import trust
from rpn.client.connection import CannotConnect, open_connection
from rpn.client.servers import parse_servers
from rpn.errors import BadSettings
from rpn.settings import AgentSettings, load

OK, NOTE, BAD = "ok", "note", "bad"


class Finding(NamedTuple):
    mark: str
    text: str


def examine(settings: AgentSettings, *, running: bool) -> Iterator[Finding]:
    """All that there is to say, most important first."""
    data_dir = Path(settings.data_dir)
    yield _folder(data_dir)
    yield Finding(OK, "an agent runs here") if running else Finding(NOTE, f"no agent runs in {data_dir}")
    yield from _gateways(settings)
    try:
        config = load_config(Path(settings.agent_config or data_dir / FILE_NAME))
    except BadSettings as error:
        yield Finding(BAD, str(error))
        config = AgentConfig()
    yield from _commands(config)
    yield from _jail()
    yield from _machine(config)


def _folder(data_dir: Path) -> Finding:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        identity.device_id(data_dir)
    except (OSError, BadSettings) as error:
        return Finding(BAD, f"its folder cannot be used: {error}")
    free_mb = shutil.disk_usage(data_dir).free // 2**20
    mark = OK if free_mb > 1024 else NOTE
    return Finding(mark, f"{data_dir} can be written, {free_mb} MB are free")


def _gateways(settings: AgentSettings) -> Iterator[Finding]:
    try:
        found = whereto.joined(
            settings, identity.device_id(Path(settings.data_dir), chosen=settings.device_id)
        )
    except (OSError, BadSettings) as error:
        yield Finding(BAD, str(error))
        return
    trust.rely_on(found.certificate if found is not None else "")
    for url in parse_servers(whereto.server(settings, found)):
        fault = asyncio.run(_reach(url, settings.token if found is None else found.token))
        yield Finding(BAD, f"{url}: {fault}") if fault else Finding(OK, f"{url} answers")


async def _reach(url: str, token: str) -> str:
    try:
        connection = await open_connection(url, token=token)
    except CannotConnect as error:
        return str(error) or "no answer"
    await connection.close()
    return ""


def _commands(config: AgentConfig) -> Iterator[Finding]:
    for name, command in config.commands.items():
        if shutil.which(command.argv[0]) is None:
            yield Finding(BAD, f"commands.{name}: there is no program {command.argv[0]}")
    yield Finding(OK, f"{len(config.commands)} commands registered beside the built-ins")


def _jail() -> Iterator[Finding]:
    if landlock.version() and seccomp.available():
        yield Finding(OK, f"jail: full (Landlock {landlock.version()}, sockets filtered)")
    elif bubblewrap.found():
        yield Finding(OK, f"jail: full ({bubblewrap.found()})")
    elif not landlock.version():
        yield Finding(NOTE, "jail: basic (no Landlock in this kernel, and no bwrap that works)")
    elif not seccomp.available():
        yield Finding(NOTE, f"jail: basic (sockets cannot be filtered on {platform.machine()})")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        if users.first_user("") is None:
            yield Finding(BAD, "tasks would run as root: this container has no user ids to spare")
        else:
            yield Finding(OK, "every task runs as a user of its own")


def _machine(config: AgentConfig) -> Iterator[Finding]:
    here = this_platform()
    gpus = GpuProbe(others=here.gpus).look()
    names = ", ".join(gpu.name or "unnamed" for gpu in gpus.each)
    yield Finding(OK, f"GPUs: {names or 'none found'}")
    if config.policy.idle_after is not None and here.idle_s() is None:
        yield Finding(BAD, "policy.idle_after: this platform does not tell whether somebody uses it")
    yield Finding(OK, f"Python {platform.python_version()}, {platform.system()} {platform.release()}")


def main() -> int:
    """Print the findings; returns 1 if one is bad, 2 for a bad setting."""
    try:
        settings = load(AgentSettings, os.environ)
        findings = list(examine(settings, running=os.environ.get("RPN_DOCTOR_RUNNING") == "1"))
    except BadSettings as error:
        print(f"rpn agent doctor: {error}", file=sys.stderr)
        return 2
    for mark, text in findings:
        print(f"{mark:<6}{text}")
    return int(any(mark == BAD for mark, _ in findings))


if __name__ == "__main__":
    sys.exit(main())
