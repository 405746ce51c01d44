"""`rpn doctor`: looks at what a pool needs on this machine, and says how to mend what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from rpn import __version__
from rpn.cli.present import as_json, plain
from rpn.cli.questions import answers_json, at_pool, place
from rpn.errors import RPNError

SPACE_WANTED_MB = 1024


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do about it if it is not well."""

    subject: str
    well: bool
    seen: str
    remedy: str = ""


@click.command(short_help="Look for what keeps a pool from working here.")
@at_pool
@answers_json
def doctor(server: str | None, token_file: str | None, json_wanted: bool) -> None:
    """Look at this machine and at the pool, and say how to mend what is not well; exit 1 if something is not.

    \b
    Example:
      rpn doctor
      rpn doctor --server desk.local
    """
    findings = list(_look(server, token_file))
    if json_wanted:
        as_json({"findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
    sys.exit(not all(finding.well for finding in findings))


def _show(finding: Finding) -> None:
    mark = click.style("ok ", fg="green") if finding.well else click.style("BAD", fg="red", bold=True)
    click.echo(f"{mark} {finding.subject}: {plain(finding.seen)}")
    if not finding.well and finding.remedy:
        click.echo(f"    {finding.remedy}")


def _look(server: str | None, token_file: str | None) -> Iterator[Finding]:
    yield Finding("rpn", True, f"{__version__}, Python {sys.version.split()[0]} on {sys.platform}")
    for check in (_settings, _server_extra, _data_dir):
        yield check()
    yield from _pool(server, token_file)


def _settings() -> Finding:
    from rpn.settings import SERVICES, load

    try:
        for kind in SERVICES:
            load(kind, os.environ)
    except RPNError as error:
        return Finding("settings", False, str(error), "`rpn config show --all` lists them")
    return Finding("settings", True, "good")


def _server_extra() -> Finding:
    """Whether `rpn up` could start a pool here."""
    missing = [each for each in ("starlette", "uvicorn", "redis") if importlib.util.find_spec(each) is None]
    if missing:
        remedy = "only needed for `rpn up` and servers: pip install 'resource-pooling-network[server]'"
        return Finding("server parts", True, f"not installed ({', '.join(missing)}); {remedy}")
    from rpn.store.embedded.binary import find_server

    try:
        return Finding("server parts", True, f"installed, with {find_server()}")
    except RPNError as error:
        return Finding("server parts", False, str(error))


def _data_dir() -> Finding:
    from rpn.settings import UpSettings, load

    try:
        path = Path(load(UpSettings, os.environ).data_dir).expanduser()
    except RPNError as error:
        return Finding("data directory", False, str(error))
    place_ = next(each for each in (path, *path.parents) if each.exists())
    free_mb = shutil.disk_usage(place_).free // 2**20
    if not os.access(place_, os.W_OK):
        return Finding("data directory", False, f"{path} cannot be written", "name another: RPN_DATA_DIR")
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o022:
        return Finding("data directory", False, f"others may write in {path}", f"chmod go-w {path}")
    if free_mb < SPACE_WANTED_MB:
        return Finding("data directory", False, f"{free_mb} MB free at {path}", "make room, or name another")
    return Finding("data directory", True, f"{path}, {free_mb // 1024} GB free")


def _pool(server: str | None, token_file: str | None) -> Iterator[Finding]:
    """Every gateway that is named: whether it is there, ready, and lets us in."""
    from urllib.parse import urlsplit

    from rpn.client.servers import parse_servers

    try:
        said, token = place(server, token_file)
        urls = parse_servers(said)
    except RPNError as error:
        yield Finding("gateway", False, str(error))
        return
    for url in urls:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        yield _answered(url, token, (parts.hostname or "", port))


def _answered(url: str, token: str, address: tuple[str, int]) -> Finding:
    from contextlib import closing

    from rpn.client.api import Api

    subject = f"gateway {url}"
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError as error:
        remedy = "start one with `rpn up`, or name it: --server HOST:PORT"
        return Finding(subject, False, f"nobody answers ({error.strerror or error})", remedy)
    try:
        with closing(Api(url, token=token, answer_limit_s=5)) as api:
            told = api.get()
    except RPNError as error:
        return Finding(
            subject, False, f"{error} ({error.code})", "its log tells more; `rpn health` asks again"
        )
    count = told.get("devices")
    devices = f"{count} device" if count == 1 else f"{count} devices"
    return Finding(subject, True, f"{told.get('service')} {told.get('version')}, {devices}")
