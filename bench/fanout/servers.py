"""The servers that are measured: ours with its store, and others; each ends with its `with`."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from rpn.store.embedded import EmbeddedServer
from rpn.tether import tethered
from tests.support.cluster import clean_environment, ready, wait_for
from tests.support.ports import free_ports

PEERS = Path(__file__).parent / "peers"
START_LIMIT_S = 20
STOP_LIMIT_S = 10
INSTALL_LIMIT_S = 60
SETTINGS = {
    "RPN_DEVICE_LIMIT": 100_000,
    "RPN_REST_RATE_LIMIT": 0,
    "RPN_LOG_LEVEL": "warning",
    "RPN_DRAIN_S": 0.5,
}


class Serving(NamedTuple):
    """Servers that answer now."""

    ports: list[int]
    pids: list[int]
    """every process whose CPU time counts"""
    ours: bool = False
    """they tell of themselves on `/metrics`"""


Server = Callable[[], AbstractContextManager[Serving]]


@contextlib.contextmanager
def gateways(count: int, **more: str) -> Iterator[Serving]:
    """Our gateways and a scheduler, on a Valkey of their own that writes to a file before it answers."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        store = running.enter_context(EmbeddedServer(folder))
        first = free_ports(count)[0]
        ports = list(range(first, first + count))
        pids = []
        for port in (*ports, None):
            settings = {**SETTINGS, **more, "RPN_REDIS_URL": store.url}
            settings |= {"RPN_METRICS_PORT": 0} if port is None else {"RPN_PORT": port}
            command = [sys.executable, "-P", "-m", "scheduler" if port is None else "gateway"]
            pids.append(running.enter_context(_process(command, clean_environment(settings))).pid)
        for port in ports:
            url = f"http://127.0.0.1:{port}"
            wait_for(functools.partial(ready, url), within_s=START_LIMIT_S, what="a gateway")
        yield Serving(ports, [*pids, store.pid], ours=True)


def unavailable(*packages: str) -> str:
    """Which of these packages of Python is not there; empty when all are."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return f"skipped: there is no {' and no '.join(missing)} here" if missing else ""


def websockets_broadcast() -> AbstractContextManager[Serving]:
    return _peer([sys.executable, str(PEERS / "websockets_broadcast.py")], dict(os.environ))


def naive_starlette() -> AbstractContextManager[Serving]:
    return _peer([sys.executable, str(PEERS / "naive_starlette.py")], dict(os.environ))


def node_ws(modules: Path) -> AbstractContextManager[Serving]:
    return _peer(["node", str(PEERS / "node_ws.cjs")], {**os.environ, "NODE_PATH": str(modules)})


@contextlib.contextmanager
def _peer(command: Sequence[str], environment: dict[str, str]) -> Iterator[Serving]:
    [port] = free_ports(1)
    with _process([*command, str(port)], environment) as process:
        wait_for(lambda: _answers(process, port), within_s=START_LIMIT_S, what=f"{command[-1]} on its port")
        yield Serving([port], [process.pid])


@contextlib.contextmanager
def _process(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(tethered(command), env=environment, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, f"it ended with {process.returncode}"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def node_modules() -> Iterator[Path | str]:
    """A folder into which npm has put `ws`; or why there is none."""
    if not (shutil.which("node") and shutil.which("npm")):
        yield "skipped: there is no node and npm here"
        return
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        command += ["--prefix", folder, "ws@8"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_LIMIT_S)
        except (subprocess.SubprocessError, OSError) as error:
            yield f"skipped: npm could not install it ({type(error).__name__})"
        else:
            yield Path(folder) / "node_modules"
