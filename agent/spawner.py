"""The agent's side of the warden: start it, give it tasks, hear of their ends."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

CAN_SPAWN = hasattr(socket, "send_fds") and hasattr(os, "fork")
"""False on Windows, where an agent shows its machine but runs no tasks."""
WARDEN_END_LIMIT_S = 5.0
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG")
_FULL_S = 0.005


class CannotStart(Exception):
    """There is no such program, or it may not be run, or the machine has no room for it."""


class WardenLost(Exception):
    """The warden is gone, and with it all tasks: the agent must begin anew."""


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to run: an argv or a builtin, in this folder, with this environment."""

    folder: str
    env: dict[str, str]
    argv: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    builtin: str | msgspec.UnsetType = msgspec.UNSET


class Spawned:
    """A process of the warden's: `ended` becomes its exit code, or minus the signal that ended it."""

    def __init__(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.started: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()


def minimal_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a task sees of the agent's environment: nothing secret."""
    return {name: environ[name] for name in _KEPT if name in environ}


class Spawner:
    """Runs from `open` to `close`; between them `serve` must be running."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.work = Path(tempfile.mkdtemp(prefix="agent-", dir=folder))
        self._numbers = count(1)
        self._spawned: dict[int, Spawned] = {}
        self._sending = asyncio.Lock()
        self._closing = False
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        self._warden = self._start_warden(theirs)

    @property
    def warden_pid(self) -> int:
        return self._warden.pid

    def _start_warden(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        source = str(Path(__file__).resolve().parent.parent)
        with theirs:
            return subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-s", "-m", "agent.warden", str(theirs.fileno()), str(self.work)],
                env={**minimal_environment(os.environ), "PYTHONPATH": source},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    async def serve(self) -> None:
        """Hear what becomes of the tasks; raises WardenLost."""
        loop = asyncio.get_running_loop()
        text = b""
        with suppress(ConnectionError):
            while data := await loop.sock_recv(self._channel, 65536):
                *lines, text = (text + data).split(b"\n")
                for line in lines:
                    self._note(json.loads(line))
        if not self._closing:
            raise WardenLost("the warden process is gone")

    def _note(self, report: dict[str, Any]) -> None:
        spawned = self._spawned[report["id"]]
        if "pid" in report:
            _settle(spawned.started, report["pid"])
            return
        del self._spawned[report["id"]]
        if "error" in report:
            _settle(spawned.started, CannotStart(report["error"]))
        else:
            _settle(spawned.ended, report["status"])

    async def start(self, order: Order, streams: tuple[int, int, int]) -> Spawned:
        """Have the warden start a process with these streams, which are closed here then."""
        spawned = Spawned(next(self._numbers))
        self._spawned[spawned.number] = spawned
        try:
            await self._send({"op": "start", "id": spawned.number, **msgspec.to_builtins(order)}, streams)
        finally:
            for fd in streams:
                os.close(fd)
        await spawned.started
        return spawned

    async def kill(self, spawned: Spawned) -> None:
        """End a process with everything it has started; nothing happens if it has ended."""
        await self._send({"op": "kill", "id": spawned.number}, ())

    async def _send(self, order: dict[str, Any], fds: Sequence[int]) -> None:
        data = json.dumps(order).encode() + b"\n"
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        async with self._sending:
            while True:
                try:
                    sent = self._channel.sendmsg([data], ancillary)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_FULL_S)
                except ConnectionError:
                    if self._closing:
                        raise asyncio.CancelledError from None  # a task of an agent that goes away
                    raise WardenLost("the warden process is gone") from None
            await asyncio.get_running_loop().sock_sendall(self._channel, data[sent:])

    async def close(self) -> None:
        """End the warden, and with it every task; returns when they are gone."""
        if self._closing:
            return
        self._closing = True
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        await asyncio.to_thread(self._wait_for_warden)
        self._channel.close()

    def _wait_for_warden(self) -> None:
        try:
            self._warden.wait(WARDEN_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._warden.kill()
            self._warden.wait()


def _settle(future: asyncio.Future[int], outcome: int | Exception) -> None:
    if future.done():
        return  # whoever waited was cancelled
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
