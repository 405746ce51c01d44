"""The agent's side of the warden: start it, give it tasks, hear of their ends."""

from __future__ import annotations

import array
import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import structs

log = logging.getLogger(__name__)

WARDEN_END_LIMIT_S = 15.0
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "TZ")
_KEPT_ON_WINDOWS = ("SYSTEMROOT", "PATHEXT", "COMSPEC")
_HOMES = ("HOME", "TMPDIR") if sys.platform != "win32" else ("USERPROFILE", "TEMP", "TMP", "HOME", "TMPDIR")
_FULL_S = 0.005

T = TypeVar("T")


class CannotStart(Exception):
    """There is no such program, or it may not be run, or the machine has no room for it."""


class WardenLost(Exception):
    """The warden is gone, and with it all tasks: the agent must begin anew."""


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a process, with all it starts, may take; what is not set is not limited."""

    memory_mb: float | msgspec.UnsetType = msgspec.UNSET
    wall_s: float | msgspec.UnsetType = msgspec.UNSET
    storage_mb: float | msgspec.UnsetType = msgspec.UNSET
    """of files in its folder"""
    processes: int | msgspec.UnsetType = msgspec.UNSET
    open_files: int | msgspec.UnsetType = msgspec.UNSET
    """of one process"""
    cpu: float | msgspec.UnsetType = msgspec.UNSET
    """core-percent; it runs on so many cores, rounded up"""
    nice: int | msgspec.UnsetType = msgspec.UNSET
    """how much it gives way to others: 0 to 19"""


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to run: an argv, in this folder, with this environment, within these limits."""

    folder: str
    env: dict[str, str]
    argv: Sequence[str]
    program: str = ""
    """where `argv[0]` is, if that is known: looking for it costs more than it does"""
    limits: Limits = msgspec.field(default_factory=Limits)
    reads: Sequence[str] = ()
    """files and folders that it may read beside the system's; those that are not there do not matter"""
    writes: Sequence[str] = ()
    """files and folders that it may change beside its own folder"""
    network: bool = False
    gpu: bool = False


class End(msgspec.Struct, frozen=True):
    """How a process ended. Nothing it has started is alive then."""

    status: int
    """its exit code, or minus the signal that ended it"""
    why: Literal["", "timeout", "oom", "processes", "storage", "left"] = ""
    """which limit it passed; `left`: it ended, but what it had started did not"""


class Spawned:
    """A process of the warden's."""

    def __init__(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.started: asyncio.Future[int] = loop.create_future()
        """its pid; or CannotStart"""
        self.ended: asyncio.Future[End] = loop.create_future()


def minimal_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a task sees of the agent's environment: nothing secret."""
    kept = _KEPT if sys.platform != "win32" else _KEPT + _KEPT_ON_WINDOWS
    return {name: environ[name] for name in kept if name in environ}


def environment_in(folder: str) -> dict[str, str]:
    """The environment of a process whose home is this folder."""
    homes = dict.fromkeys(_HOMES, folder)
    return {"PATH": os.defpath, **minimal_environment(os.environ), **homes}


class Spawner:
    """Runs until `close`; meanwhile `serve` must be running.

    `needed` are the files and folders that commands must be able to reach, whoever they run as.
    """

    def __init__(self, folder: Path, *, needed: Iterable[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.work = Path(tempfile.mkdtemp(prefix="agent-", dir=folder))
        self._work_path = str(self.work)
        self._folders = count(1)
        self.work.chmod(0o711)  # tasks may run as users of their own
        self._needed = list(needed)
        self.cpu_share: float | None = None
        """core-percent that all processes together may use, rounded up to cores; None: all"""
        self._numbers = count(1)
        self._spawned: dict[int, Spawned] = {}
        self._begin()

    def _begin(self) -> None:
        """Have a warden."""
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
        told = [str(theirs.fileno()), str(self.work), json.dumps(self._needed)]
        with theirs:
            return subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-s", "-m", "agent.warden", *told],
                env={**minimal_environment(os.environ), "PYTHONPATH": source},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def new_folder(self) -> str:
        """A folder for one process. Raises OSError."""
        path = f"{self._work_path}/{next(self._folders)}"
        os.mkdir(path, 0o700)
        return path

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
            _settle(spawned.ended, End(report["status"], report["why"]))

    async def start(self, order: Order, streams: tuple[int, int, int]) -> Spawned:
        """Have the warden start a process with these streams, which are closed here then."""
        spawned = Spawned(next(self._numbers))
        self._spawned[spawned.number] = spawned
        limits = msgspec.to_builtins(order.limits)
        told = {**structs.asdict(order), "limits": limits, "cpu_share": self.cpu_share}
        try:
            await self._send(
                {"op": "start", "id": spawned.number, "cpu_share": self.cpu_share, **told}, streams
            )
        finally:
            for fd in streams:
                os.close(fd)
        await spawned.started
        return spawned

    async def kill(self, spawned: Spawned) -> None:
        """End a process with everything it has started; nothing happens if it has ended."""
        await self._send({"op": "kill", "id": spawned.number}, ())

    async def suspend(self, spawned: Spawned) -> None:
        """Stop a process with everything it has started, until `resume`; its time runs on."""
        await self._send({"op": "suspend", "id": spawned.number}, ())

    async def resume(self, spawned: Spawned) -> None:
        await self._send({"op": "resume", "id": spawned.number}, ())

    async def limit(self, spawned: Spawned, limits: Limits) -> None:
        """From now on hold a running process to these; its time begins anew."""
        order = {"op": "limit", "id": spawned.number, "limits": msgspec.to_builtins(limits)}
        await self._send(order, ())

    async def _send(self, order: dict[str, Any], fds: Sequence[int]) -> None:
        if sys.platform == "win32":
            raise WardenLost("there is no warden on Windows")
        data = json.dumps(order).encode() + b"\n"  # paths may hold bytes that are no UTF-8
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
        self._end_leftovers()

    def _end_leftovers(self) -> None:
        """A warden that ended by itself leaves nothing; one that was killed may have left anything."""
        if self._warden.returncode == 0 or sys.platform == "win32":
            return
        from agent import leftovers

        count = leftovers.end(self._work_path)
        log.warning("the warden was killed; %d processes of tasks were ended in its place", count)
        self._remove_work()

    def _remove_work(self) -> None:
        shutil.rmtree(self._work_path, ignore_errors=True)


def _settle(future: asyncio.Future[T], outcome: T | Exception) -> None:
    if future.done():
        return  # whoever waited was cancelled
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
