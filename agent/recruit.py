"""A process of the warden's that waits to become one task, with all done that can be done before.

Forking, and all that the first touch of each page of memory costs after it, takes longer than most
of what comes then. So the warden has one recruit ready, and the next task is spared that wait.
A recruit becomes one task and never a second one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from agent import jail, kernel

assert sys.platform != "win32"  # noqa: S101 - for type checkers

START_LIMIT_S = 10.0
"""How long it may take to become its task; the warden waits for that and for nothing else meanwhile."""
_CHUNK = 65536
_EXEC_FAILED = 127


class Recruit:
    """The warden's hold on the process. Raises OSError if there is no room for one."""

    def __init__(self, not_its_own: Iterable[int]) -> None:
        """`not_its_own` are file descriptors of the warden's that others wait to see closed."""
        warden = os.getpid()
        self._channel, its_end = socket.socketpair()
        with its_end:
            self.pid = _forked(lambda: _serve(its_end, [self._channel.fileno(), *not_its_own], warden))

    def become(self, order: dict[str, Any], streams: Sequence[int], user: int | None) -> int:
        """Have it run what `order` says, as `user`; its pid. Raises CannotBecome; Deserted if it is gone."""
        self._channel.settimeout(START_LIMIT_S)
        told = json.dumps({**order, "user": user}).encode()
        try:
            sent = socket.send_fds(self._channel, [told], list(streams))
            self._channel.sendall(told[sent:])
            self._channel.shutdown(socket.SHUT_WR)
        except OSError:
            self.dismiss()
            raise Deserted from None
        why = self._hindrance()
        if why:
            self.dismiss()
            raise CannotBecome(why)
        self._channel.close()
        return self.pid

    def _hindrance(self) -> str:
        """Why it cannot; empty when its end has closed, which is when it has become its task."""
        said = b""
        try:
            while more := self._channel.recv(_CHUNK):
                said += more
        except OSError as error:
            return f"it did not start: {error.strerror or error}"
        return said.decode(errors="replace")

    def dismiss(self) -> None:
        """There is no task for it."""
        self._channel.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class CannotBecome(Exception):
    """The task cannot be started; the text says why."""


class Deserted(Exception):
    """Somebody ended the recruit while it waited."""


def _forked(become: Callable[[], NoReturn]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            become()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(_EXEC_FAILED)
    return pid


# --- in the forked process ------------------------------------------------------------------------


def _serve(channel: socket.socket, not_ours: Iterable[int], warden: int) -> NoReturn:
    """Wait for the order, and turn into what it says."""
    _enlist(not_ours, warden)
    ruleset = jail.prepared()
    told, streams = _heard(channel)
    if not told:
        os._exit(0)  # the warden has no need of us any more
    order = json.loads(told)
    try:
        _take_place(order["folder"], streams)
        jail.confine(order, order["user"], ruleset)
        _run(jail.command(order), order)
    except Exception as error:
        _tell(channel, f"{order['argv'][0]}: {getattr(error, 'strerror', None) or repr(error)}")
    os._exit(_EXEC_FAILED)


def _enlist(not_ours: Iterable[int], warden: int) -> None:
    """Leave behind what is the warden's own."""
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != warden:  # it ended before the line above
        os._exit(_EXEC_FAILED)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for fd in not_ours:
        os.close(fd)
    kernel.offer_to_the_oom_killer()
    os.umask(0o077)


def _heard(channel: socket.socket) -> tuple[bytes, list[int]]:
    """All that the warden has to say, and the three streams; nothing if it went away."""
    said, streams, _, _ = socket.recv_fds(channel, _CHUNK, 3)
    more = said
    while more:
        more = channel.recv(_CHUNK)
        said += more
    return said, streams


def _take_place(folder: str, streams: Iterable[int]) -> None:
    os.chdir(folder)
    for target, fd in enumerate(streams):
        os.dup2(fd, target)
        os.close(fd)


def _run(argv: list[str], order: dict[str, Any]) -> None:
    """Be that program from now on; what `argv` says is the owner's. Raises OSError."""
    if argv is order["argv"] and order.get("program"):
        with suppress(FileNotFoundError):  # it has moved since it was looked for
            os.execve(order["program"], argv, order["env"])  # noqa: S606
    os.execvpe(argv[0], argv, order["env"])  # noqa: S606


def _tell(channel: socket.socket, hindrance: str) -> None:
    with suppress(OSError):
        channel.sendall(hindrance.encode(errors="replace"))
