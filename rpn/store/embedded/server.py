"""Starts a Valkey server on its data directory, knows when it is ready, and says why it is not."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from rpn.errors import ServerFailed
from rpn.store.embedded.binary import find_server, with_allocator
from rpn.store.embedded.lock import WHAT_TO_DO, DataLock, unusable, wait_free
from rpn.store.embedded.ping import Answer, ping
from rpn.store.embedded.place import Place
from rpn.tether import tethered

START_LIMIT_S = 10
STOP_LIMIT_S = 10
LOOK_EVERY_S = 0.01
LOG_TAIL_BYTES = 8192
START_SIGN = "oO0OoO0OoO0Oo"  # what Valkey and Redis write when they start

ELSEWHERE = "choose another directory with --data-dir (RPN_DATA_DIR)"
FULL = f"the disk that holds {{dir}} is full: free space, or {ELSEWHERE}"
CAUSES = {
    "No space left on device": FULL,
    "Short write while writing to the AOF": FULL,
    "Disk quota exceeded": f"your quota for {{dir}} is used up: free space, or {ELSEWHERE}",
    "Read-only file system": f"{{dir}} is on a file system that cannot be written: {ELSEWHERE}",
    "Permission denied": f"{{dir}} holds files that this user may not write: mend that, or {ELSEWHERE}",
    "Bad file format reading the append only": "the data in {dir} are damaged: valkey-check-aof --fix mends "
    "them (see {log}); moving the directory away starts with an empty pool",
    "Can't handle RDB format version": "the data in {dir} were written by a newer server: use that one, "
    f"or {ELSEWHERE}",
}
"""What a server says in its log before it gives up, and what the operator can do."""


class EmbeddedServer:
    """A Valkey server whose data live in DATA_DIR/valkey, durable to the last acknowledged write.

    It ends with the process (on Linux: with the thread) that started it.
    `start`, `stop` and `with` are for those who want a server and no more. A supervisor that starts
    processes its own way uses `prepare`, `ready` and `explain`, and holds the `DataLock` itself.
    """

    def __init__(self, data_dir: str | Path, *, port: int | None = None) -> None:
        """By default reached by a unix socket only; by loopback TCP with a `port` (0: any free one)."""
        self._place = Place(Path(data_dir))
        self._port = _free_port() if port == 0 else port
        self._lock = DataLock(Path(data_dir).absolute(), "a program with an embedded server")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        if self._port is None:
            return f"unix://{quote(str(self._place.socket))}?db=0"
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def log_path(self) -> Path:
        return self._place.log

    @property
    def pid(self) -> int:
        """The process that `start` started."""
        return self._running().pid

    def prepare(self) -> list[str]:
        """The command line that starts it, once its directory is in order. Raises ServerFailed.

        Waits until a server that was killed there is really gone. The process ends with ours.
        """
        program = find_server()
        self._place.make_ready()
        try:
            free = wait_free(self._place.lock, limit_s=STOP_LIMIT_S)
        except OSError as error:
            raise unusable(self._place.dir, error) from None
        if not free:
            raise ServerFailed(f"{self._place.dir} is in use by a server ({self._former()}): {WHAT_TO_DO}")
        return tethered([*with_allocator(program), *self._arguments()], lock=str(self._place.lock))

    def ready(self) -> bool:
        """Whether it answers now."""
        return self._ping() is Answer.READY

    def explain(self) -> str:
        """Why it ended, as far as its log and its directory tell, and what to do."""
        try:
            self._place.make_ready()  # on a full disk the log has no room for the reason
        except ServerFailed as error:
            return str(error)
        tail = self._log_tail()
        for sign, meaning in CAUSES.items():
            if sign in tail:
                return meaning.format(dir=self._place.dir, log=self._place.log)
        last = tail.strip().splitlines()[-1:] or ["it wrote no log"]
        return f"the embedded server ended: {last[0]} (its log is {self._place.log})"

    def start(self) -> None:
        """Start it and wait until it answers. Raises ServerFailed."""
        self._lock.take()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
                self.prepare(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
            self._await_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until it has ended, and return its exit status."""
        return self._running().wait(timeout_s)

    def stop(self) -> None:
        """End it; nothing it acknowledged is lost."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _arguments(self) -> list[str]:
        reached = (
            ["--port", "0", "--unixsocket", str(self._place.socket), "--unixsocketperm", "700"]
            if self._port is None
            else ["--port", str(self._port), "--bind", "127.0.0.1"]
        )
        return [
            *reached,
            *("--dir", str(self._place.dir)),
            *("--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "yes"),
            *("--save", ""),
            *("--hash-max-listpack-entries", "32"),  # a look-up in a longer list takes microseconds
            *("--maxmemory-policy", "noeviction"),
            *("--daemonize", "no", "--pidfile", str(self._place.pid)),
            *("--logfile", str(self._place.log)),
        ]

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        heard_at = time.monotonic()
        while (answer := self._ping()) is not Answer.READY:
            now = time.monotonic()
            if answer is Answer.LOADING:
                heard_at = now  # it reads its data: however much that is, it goes on
            if process.poll() is not None:
                raise ServerFailed(self.explain())
            if now - heard_at > START_LIMIT_S:
                raise ServerFailed(f"the embedded server does not answer: see {self._place.log}")
            time.sleep(LOOK_EVERY_S)

    def _ping(self) -> Answer:
        return ping(str(self._place.socket) if self._port is None else ("127.0.0.1", self._port))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerFailed("the embedded server was not started")
        return self._process

    def _former(self) -> str:
        try:
            return f"pid {self._place.pid.read_text(encoding='ascii').strip()}"
        except OSError:
            return "its pid is not known"

    def _log_tail(self) -> str:
        """What it said last, and nothing of what was said at an earlier start."""
        try:
            with self._place.log.open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - LOG_TAIL_BYTES))
                return log.read().decode(errors="replace").rpartition(START_SIGN)[2]
        except OSError:
            return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
