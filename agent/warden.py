"""The one parent of all tasks: starts them, ends them wholly, and leaves none behind when the agent is gone.

A process of its own, kept small and single-threaded so that it can fork; standard library only.
Orders come as JSON lines over a socket, with a task's three streams as file descriptors:

    {"op": "start", "id", "argv" or "builtin", "folder", "env"}    -> {"id", "pid"} or {"id", "error"}
    {"op": "kill", "id"}
                                            when a task has ended  -> {"id", "status"}

`status` is the exit code, or minus the signal that ended it. Once it is reported, nothing the
task has started is alive. When the socket closes, all tasks are killed and `work` is removed.

Off Linux a process that leaves its task's session while its parent ends is beyond our reach.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

from agent import builtins, kernel, proc

if sys.platform != "win32":
    import resource

OPEN_FILES_LIMIT = 1024
KILL_LIMIT_S = 1.0
"""How long we wait for killed processes to be gone before we go on without them."""
STRAY_S = 1.0
"""How often we look for processes that have left their task's session."""
_FDS_AT_ONCE = 48
_EXEC_FAILED = 127


class Warden:
    def __init__(self, channel: socket.socket, work: str) -> None:
        self._channel = channel
        self._work = work
        self._tasks: dict[int, int] = {}
        """the leaders' pids and the ids of their tasks"""
        self._fds: list[int] = []
        self._text = b""

    def run(self) -> None:
        """Serve until the agent is gone, then clean up."""
        wake, wake_in = os.pipe()
        os.set_blocking(wake_in, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._channel, selectors.EVENT_READ)
                selector.register(wake, selectors.EVENT_READ)
                self._serve(selector, wake)
        except (ConnectionError, _Told):
            pass  # the agent is gone
        finally:
            self._end_everything()

    def _serve(self, selector: selectors.BaseSelector, wake: int) -> None:
        looked_s = 0.0
        while True:
            ready = {key.fd for key, _ in selector.select(STRAY_S if self._tasks else None)}
            if wake in ready:
                with suppress(BlockingIOError):
                    os.read(wake, 4096)
            if self._channel.fileno() in ready:
                for order in self._orders():
                    self._obey(order)
            self._reap()
            if self._tasks and time.monotonic() - looked_s > STRAY_S:
                self._kill_strays()
                looked_s = time.monotonic()

    def _orders(self) -> Iterator[dict[str, Any]]:
        data, fds, _, _ = socket.recv_fds(self._channel, 65536, _FDS_AT_ONCE)
        if not data:
            raise ConnectionResetError
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds += fds
        *lines, self._text = (self._text + data).split(b"\n")
        return map(json.loads, lines)

    def _obey(self, order: dict[str, Any]) -> None:
        if order["op"] == "start":
            fds, self._fds = self._fds[:3], self._fds[3:]
            self._report(self._start(order, fds))
        else:
            for leader, task in self._tasks.items():
                if task == order["id"]:
                    _kill_tree(leader)

    def _report(self, report: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(report).encode() + b"\n")

    # --- beginnings ---------------------------------------------------------------------------

    def _start(self, order: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        failed, failed_in = os.pipe()
        warden = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                _become(order, fds, failed_in, warden)
        except OSError as error:
            os.close(failed)
            return {"id": order["id"], "error": f"cannot fork: {error.strerror}"}
        finally:
            for fd in (*fds, failed_in):
                os.close(fd)
        with os.fdopen(failed, "rb") as stream:
            why = stream.read()  # ends at exec
        if why:
            os.waitpid(pid, 0)
            return {"id": order["id"], "error": why.decode(errors="replace")}
        self._tasks[pid] = order["id"]
        return {"id": order["id"], "pid": pid}

    # --- ends ---------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Wait for what has ended; a leader's pid stays taken until its task is wholly gone."""
        while True:
            ended = _an_ended_child()
            if ended is None:
                return
            if ended in self._tasks:
                self._kill_survivors(ended)
            _, status = os.waitpid(ended, 0)
            task = self._tasks.pop(ended, None)
            if task is not None:
                self._report({"id": task, "status": os.waitstatus_to_exitcode(status)})

    def _kill_survivors(self, leader: int) -> None:
        """Kill what an ended leader has left; as orphans they are all children of ours now."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        deadline_s = time.monotonic() + KILL_LIMIT_S
        while self._kill_strays(of=leader) and time.monotonic() < deadline_s:
            time.sleep(0.001)

    def _kill_strays(self, *, of: int | None = None) -> bool:
        """Kill orphans that belong to no running task (or to the ended one); whether any lived."""
        any_alive = False
        for pid in proc.children(os.getpid()):
            if pid in self._tasks:
                continue
            found = proc.look(pid)
            if found is None or (found.session in self._tasks and found.session != of):
                continue
            if found.alive:
                any_alive = True
                _kill_tree(pid)
            else:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        return any_alive

    def _end_everything(self) -> None:
        self._channel.close()
        deadline_s = time.monotonic() + KILL_LIMIT_S
        while (left := proc.children(os.getpid())) and time.monotonic() < deadline_s:
            for pid in left:
                _kill_tree(pid)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.001)
        import shutil  # large, and not needed before

        shutil.rmtree(self._work, ignore_errors=True)


class _Told(Exception):
    """Somebody asked the warden itself to end."""


def _an_ended_child() -> int | None:
    """A child that has ended and has not been waited for."""
    if hasattr(os, "waitid"):
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        return ended.si_pid if ended is not None else None
    seen = map(proc.look, proc.children(os.getpid()))  # macOS before Python 3.13
    return next((found.pid for found in seen if found is not None and not found.alive), None)


def _kill_tree(top: int) -> None:
    """Kill a process, its group, and what is below it, in whatever session."""
    below = proc.descendants(top)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(top, signal.SIGKILL)
    for pid in (top, *below):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _become(order: dict[str, Any], fds: list[int], failed: int, warden: int) -> NoReturn:
    """In the forked child: turn into the task."""
    code = _EXEC_FAILED
    try:
        _prepare(order["folder"], fds, warden)
        if "builtin" in order:
            os.closerange(3, 1 << 20)
            code = builtins.run(order["builtin"])
        else:
            os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606 - argv is the owner's
    except OSError as error:
        with suppress(OSError):
            os.write(failed, f"{order.get('argv', [''])[0]}: {error.strerror}".encode())
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        os._exit(code)


def _prepare(folder: str, fds: list[int], warden: int) -> None:
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != warden:  # it ended before the line above
        os._exit(_EXEC_FAILED)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    kernel.offer_to_the_oom_killer()
    os.umask(0o077)
    os.chdir(folder)
    for target, fd in enumerate(fds):
        os.dup2(fd, target)


def _limit() -> None:
    """What holds for every task, since it is inherited."""
    if sys.platform == "win32":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES_LIMIT if hard == resource.RLIM_INFINITY else min(OPEN_FILES_LIMIT, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def _told(*_: object) -> None:
    raise _Told


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _told)
    kernel.adopt_orphans()
    kernel.forbid_new_privileges()
    _limit()
    Warden(channel, sys.argv[2]).run()


if __name__ == "__main__":
    main()
