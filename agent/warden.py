"""The one parent of all tasks: starts them, ends them wholly, and leaves none behind when the agent is gone.

A process of its own, kept small and single-threaded so that it can fork; standard library only.
Orders come as JSON lines over a socket, with a task's three streams as file descriptors:

    {"op": "start", "id", "argv", "folder", "env", "limits", "reads", "writes", "network", "gpu"}
                                                                 -> {"id", "pid"} or {"id", "error"}
    {"op": "kill" or "suspend" or "resume", "id"}
    {"op": "limit", "id", "limits"}
                                            when a task has ended  -> {"id", "status", "why"}

`status` is the exit code, or minus the signal that ended it; `why` names the limit that was passed
(timeout, oom, processes, storage), or `left` when it ended but left processes behind. Once it is
reported, nothing the task has started is alive. When the socket closes, all tasks are killed and
`work` is removed.

Off Linux a process that leaves its task's session while its parent ends is beyond our reach.
"""

from __future__ import annotations

import gc
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

from agent import cores, guard, jail, kernel, proc, tree, users, view

assert sys.platform != "win32"  # noqa: S101 - for type checkers

GRACE_S = 0.05
"""How long what a task has started may outlive it before it counts as left behind."""
PRIORITY = -5
"""So that it has its turn even among hundreds of processes that all want to run."""
KILL_LIMIT_S = 1.0
"""How long we wait for killed processes to be gone before we go on without them."""
END_LIMIT_S = 10.0
"""The same when we end ourselves: what we leave then nobody ends."""
STRAY_S = 1.0
"""How often we look for processes that have left their task's session."""
_FDS_AT_ONCE = 48
_EXEC_FAILED = 127


class Task:
    """One that runs."""

    def __init__(self, number: int, user: int | None, taken: list[int], guarded: guard.Guarded) -> None:
        self.number = number
        self.user = user
        self.cores = taken
        self.guarded = guarded


class Warden:
    def __init__(self, channel: socket.socket, work: str, above_work: int, users_: users.Users) -> None:
        self._channel = channel
        self._work = work
        self._above_work = above_work
        self._users = users_
        self._cores = cores.Cores()
        self._tasks: dict[int, Task] = {}
        """by the pid of the process that leads it"""
        self._fds: list[int] = []
        self._text = b""
        self._others = _Others()

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
        looked_s = strays_s = 0.0
        while True:
            ready = {key.fd for key, _ in selector.select(guard.GUARDED_S if self._tasks else None)}
            if wake in ready:
                with suppress(BlockingIOError):
                    os.read(wake, 4096)
            if self._channel.fileno() in ready:
                for order in self._orders():
                    self._obey(order)
            self._reap()
            now_s = guard.now_s()
            if self._tasks and now_s - looked_s >= guard.GUARDED_S:
                self._hold_to_limits(now_s)
                looked_s = guard.now_s()
            if self._tasks and now_s - strays_s > STRAY_S:
                self._kill_strays(note=True)
                strays_s = now_s

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
            return
        for leader, task in self._tasks.items():
            if task.number == order["id"]:
                self._change(leader, task, order)

    def _change(self, leader: int, task: Task, order: dict[str, Any]) -> None:
        match order["op"]:
            case "kill":
                tree.kill(leader)
            case "suspend":
                tree.signal_all(leader, signal.SIGSTOP)
            case "resume":
                tree.signal_all(leader, signal.SIGCONT)
            case "limit":
                task.guarded.hold_to(order["limits"], now_s=guard.now_s())

    def _report(self, report: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(report).encode() + b"\n")

    # --- beginnings ---------------------------------------------------------------------------

    def _start(self, order: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        user, limits = self._users.take(), order["limits"]
        order["cores"] = self._cores.take(limits.get("cpu"), limits.get("cpu_share"))
        try:
            pid = self._fork(order, fds, user)
        except OSError as error:
            self._users.give_back(user)
            self._cores.give_back(order["cores"])
            return {"id": order["id"], "error": str(error)}
        guarded = guard.Guarded(pid, order["folder"], limits, now_s=guard.now_s())
        self._tasks[pid] = Task(order["id"], user, order["cores"], guarded)
        return {"id": order["id"], "pid": pid}

    def _fork(self, order: dict[str, Any], fds: list[int], user: int | None) -> int:
        """The pid of the process that has become the task. Raises OSError, with what to tell."""
        failed, failed_in = os.pipe()
        warden = os.getpid()
        try:
            if user is not None:
                os.chown(order["folder"], user, user)
            elif "processes" in order["limits"]:
                order["limits"]["others"] = self._others.count()
            pid = os.fork()
            if pid == 0:
                _become(order, fds, failed_in, warden, user)
        except OSError as error:
            os.close(failed)
            raise OSError(f"cannot fork: {error.strerror}") from None
        finally:
            for fd in (*fds, failed_in):
                os.close(fd)
        with os.fdopen(failed, "rb") as stream:
            why = stream.read()  # ends at exec
        if why:
            os.waitpid(pid, 0)
            raise OSError(why.decode(errors="replace"))
        return pid

    # --- limits -------------------------------------------------------------------------------

    def _hold_to_limits(self, now_s: float) -> None:
        for leader, task in self._tasks.items():
            why = task.guarded.excess(now_s=now_s)
            if why:
                task.guarded.why = task.guarded.why or why
                tree.kill(leader)

    # --- ends ---------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Wait for what has ended; a leader's pid stays taken until its task is wholly gone."""
        while True:
            ended = _an_ended_child()
            if ended is None:
                return
            left = ended in self._tasks and self._kill_survivors(ended)
            _, status = os.waitpid(ended, 0)
            task = self._tasks.pop(ended, None)
            if task is not None:
                self._users.give_back(task.user)
                self._cores.give_back(task.cores)
                self._report(_ended(task, os.waitstatus_to_exitcode(status), left))

    def _kill_survivors(self, leader: int) -> bool:
        """Kill what an ended leader has left; whether there was anything that did not end by itself."""
        deadline_s = time.monotonic() + GRACE_S
        while (left := self._survivors(leader)) and time.monotonic() < deadline_s:
            time.sleep(0.001)
        if left:
            tree.kill_group(leader)
        deadline_s = time.monotonic() + KILL_LIMIT_S
        while self._kill_strays(of=leader) and time.monotonic() < deadline_s:
            time.sleep(0.001)
        return left

    def _survivors(self, leader: int) -> bool:
        """Whether anything that belongs to no task but this ended one is alive; orphans are ours now."""
        return any(found.alive for found in self._orphans(of=leader))

    def _orphans(self, *, of: int | None) -> Iterator[proc.Process]:
        """Children of ours that lead no task and are in no running task's session."""
        for pid in proc.children(os.getpid()):
            found = proc.look(pid) if pid not in self._tasks else None
            if found is not None and (found.session not in self._tasks or found.session == of):
                yield found

    def _kill_strays(self, *, of: int | None = None, note: bool = False) -> bool:
        """Kill orphans that belong to no running task (or to the ended one); whether any lived.

        With `note` they are held against the task that started them, if we know which.
        """
        any_alive = False
        for found in self._orphans(of=of):
            if found.alive:
                any_alive = True
                if note:
                    self._note_stray(found.pid)
                tree.kill(found.pid)
            else:
                with suppress(ChildProcessError):
                    os.waitpid(found.pid, os.WNOHANG)
        return any_alive

    def _note_stray(self, pid: int) -> None:
        user = _user_of(pid)
        for task in self._tasks.values():
            if task.guarded.started(pid) or (task.user is not None and task.user == user):
                task.guarded.left = True

    def _end_everything(self) -> None:
        self._channel.close()
        for leader in self._tasks:
            tree.kill_group(leader)
        deadline_s = time.monotonic() + END_LIMIT_S
        while (left := proc.children(os.getpid())) and time.monotonic() < deadline_s:
            for pid in left:
                tree.kill(pid)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.001)
        import shutil  # large, and not needed before

        shutil.rmtree(os.path.basename(self._work), ignore_errors=True, dir_fd=self._above_work)


class _Others:
    """How many threads our user has anyway, counted at most once a second."""

    def __init__(self) -> None:
        self._count = 0
        self._counted_s = -STRAY_S

    def count(self) -> int:
        now_s = guard.now_s()
        if now_s - self._counted_s >= STRAY_S:
            self._count, self._counted_s = guard.threads_of(os.getuid()), now_s
        return self._count


class _Told(Exception):
    """Somebody asked the warden itself to end."""


def _ended(task: Task, status: int, left: bool) -> dict[str, Any]:
    why = task.guarded.why or ("left" if left or task.guarded.left else "")
    if status == -signal.SIGXFSZ:
        why = why or "storage"
    return {"id": task.number, "status": status, "why": why}


def _user_of(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


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


def _become(order: dict[str, Any], fds: list[int], failed: int, warden: int, user: int | None) -> NoReturn:
    """In the forked child: turn into the task."""
    code = _EXEC_FAILED
    try:
        _prepare(order["folder"], fds, warden)
        jail.confine(order, user)
        argv = jail.command(order)
        os.execvpe(argv[0], argv, order["env"])  # noqa: S606 - argv is the owner's
    except OSError as error:
        with suppress(OSError):
            os.write(failed, f"{order['argv'][0]}: {error.strerror}".encode())
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
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    kernel.offer_to_the_oom_killer()
    os.umask(0o077)
    os.chdir(folder)
    for target, fd in enumerate(fds):
        os.dup2(fd, target)


def _told(*_: object) -> None:
    raise _Told


def _users(work: str, needed: list[str]) -> users.Users:
    """The tasks' users, if we are root and can show those what they need."""
    first = users.first_user(work)
    if first is not None:
        try:
            view.uncover([work, *needed])
        except OSError as error:
            sys.stderr.write(f"rpn agent: tasks run as root: {error}\n")
            first = None
    return users.Users(first)


def main() -> None:
    """`agent.warden CHANNEL WORK NEEDED`: NEEDED is a JSON list of what commands must be able to reach."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _told)
    kernel.adopt_orphans()
    with suppress(OSError):  # not everybody may
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    work = sys.argv[2]
    above_work = os.open(os.path.dirname(work), os.O_RDONLY | os.O_DIRECTORY)  # its path may get covered
    tasks_users = _users(work, [*jail.interpreter(), *json.loads(sys.argv[3])])
    kernel.forbid_new_privileges()
    jail.system()
    gc.freeze()  # what a forked child does not touch it need not copy
    Warden(channel, work, above_work, tasks_users).run()


if __name__ == "__main__":
    main()
