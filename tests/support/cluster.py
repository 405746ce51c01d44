"""Starts whole pools as their users do, with `rpn up`, and knows every process of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psutil

from tests.support.patience import PATIENCE_S
from tests.support.ports import free_ports

ROLES = ("gateway", "scheduler", "agent", "store")

T = TypeVar("T")


def wait_for(
    found: Callable[[], T | None], *, within_s: float = PATIENCE_S, what: str, every_s: float = 0.05
) -> T:
    """Ask until the answer is true; fails, naming `what`, when the time is over."""
    deadline = time.monotonic() + within_s
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(every_s)
    return answer


class Response:
    """A REST answer: status, headers by lower-case name, body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


def call(url: str, *, method: str = "GET", timeout_s: float = 5, **headers: str) -> Response:
    """One HTTP request without redirects, proxies or retries; `_` in a header's name means `-`."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    with contextlib.closing(connection):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, headers=sent)
        answer = connection.getresponse()
        return Response(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        )


def ready(url: str) -> bool:
    """Whether this gateway serves."""
    try:
        return call(f"{url}/readyz", timeout_s=1).status == 200
    except (OSError, http.client.HTTPException):
        return False


def device_ids(url: str) -> set[str]:
    """Who is in the pool, as this gateway sees it."""
    return {device["id"] for device in call(f"{url}/api/devices").json()["devices"]}


def clean_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """This process's environment with no other `RPN_*` than these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RPN_")}
    return {**kept, **{name: str(value) for name, value in settings.items()}}


def role_of(process: psutil.Process) -> str | None:
    """Which part of the pool this process is, by its command line."""
    try:
        if process.name() in ("valkey-server", "redis-server"):
            return "store"
        words = process.cmdline()
    except psutil.Error:
        return None
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else None
    return module if module in ROLES else None


def alive(process: psutil.Process) -> bool:
    """Whether it still runs: a zombie waits only for its parent to look."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def wait_gone(processes: list[psutil.Process], *, within_s: float = PATIENCE_S) -> None:
    """Fails, naming them, if some of these still run after the time."""
    try:
        wait_for(lambda: not any(map(alive, processes)), within_s=within_s, what="everything ended")
    except AssertionError:
        left = [f"{process.pid} {' '.join(process.cmdline())}" for process in processes if alive(process)]
        raise AssertionError(f"still running after {within_s} s: {left}") from None


def tails(logs: Iterable[Path], lines: int = 20) -> str:
    """The last lines of each of these files, for the text of a failure."""
    ends = {log.name: log.read_text(errors="replace").splitlines()[-lines:] for log in logs}
    return "\n".join(f"{name}: {line}" for name, end in ends.items() for line in end)


class Cluster:
    """A pool on this machine, started by `rpn up` and ended with it."""

    def __init__(
        self, data_dir: Path, *, gateways: int = 1, first_port: int | None = None, **settings: object
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.first_port = first_port or free_ports(gateways)[0]
        self.urls = [f"http://127.0.0.1:{self.first_port + i}" for i in range(gateways)]
        self._settings = {"RPN_REST_RATE_LIMIT": 0, **settings}
        self.up: subprocess.Popen[bytes] | None = None

    def start(self) -> Cluster:
        """Start, and wait until every gateway is ready and the agent has joined."""
        command = [sys.executable, "-P", "-m", "rpn.cli", "up", "--port", str(self.first_port)]
        command += ["--gateways", str(len(self.urls)), "--data-dir", str(self.data_dir)]
        with self.log.open("ab") as log:
            self.up = subprocess.Popen(
                command,
                env=clean_environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait_ready()
        except BaseException:
            self.end_hard()
            raise
        return self

    def wait_ready(self, *, within_s: float = PATIENCE_S) -> None:
        try:
            wait_for(self._ready_or_dead, within_s=within_s, what="every gateway ready")
            wait_for(self._agent_joined, within_s=within_s, what="the agent in the pool")
        except AssertionError as error:
            raise AssertionError(f"{error}; its logs end:\n{self.log_tail()}") from None

    def _ready_or_dead(self) -> bool:
        assert self.up is not None
        assert self.up.poll() is None, f"`rpn up` ended with {self.up.returncode}"
        return all(map(ready, self.urls))

    def _agent_joined(self) -> bool:
        if self._settings["RPN_REST_RATE_LIMIT"] or self._settings.get("RPN_AUTH") == "token":
            return True  # asking would count, or is not answered
        return bool(device_ids(self.urls[0]))

    def log_tail(self, lines: int = 20) -> str:
        """The end of what `rpn up` printed, and of what its processes logged."""
        return tails([self.log, *sorted(self.data_dir.glob("logs/*"))], lines)

    # --- processes ------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """`rpn up` and everything it has started, directly or not."""
        assert self.up is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.up.pid)
            return [root, *root.children(recursive=True)]
        return []

    def of_role(self, role: str) -> list[psutil.Process]:
        """The living processes of one role, oldest first."""
        found = [process for process in self.processes() if role_of(process) == role and alive(process)]
        return sorted(found, key=lambda process: process.create_time())

    def kill(self, role: str) -> psutil.Process:
        """kill -9 the oldest process of a role, once there is one; `rpn up` is expected to start another."""
        victim = wait_for(lambda: self.of_role(role), what=f"a {role}")[0]
        victim.send_signal(signal.SIGKILL)
        return victim

    # --- the end --------------------------------------------------------------------------

    def stop(self) -> None:
        """End it by SIGTERM; fails unless it exits with 0 and leaves nothing running."""
        assert self.up is not None
        everyone = self.processes()
        self.up.terminate()
        try:
            code = self.up.wait(PATIENCE_S)
            wait_gone(everyone)
        except BaseException:
            self.end_hard(everyone)
            raise
        assert code == 0, f"`rpn up` exited with {code}:\n{self.log_tail()}"

    def end_hard(self, everyone: list[psutil.Process] | None = None) -> None:
        """kill -9 whatever is left: for tests that have failed already."""
        for process in everyone or self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.up is not None:
            self.up.wait(5)


@contextlib.contextmanager
def running(data_dir: Path, *, gateways: int = 1, **settings: Any) -> Iterator[Cluster]:
    """A started pool that is stopped, and checked to be gone, at the end."""
    cluster = Cluster(data_dir, gateways=gateways, **settings).start()
    try:
        yield cluster
    except BaseException:
        cluster.end_hard()
        raise
    cluster.stop()
