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
from typing import Any

from agent import cores, guard, jail, kernel, proc, recruit, reserve, tree, users, view

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
        self._wakes = os.pipe()
        """what signals are written to, for the selector to wake by"""
        self._reserve = reserve.Reserve(self._recruit)

    def run(self) -> None:
        """Serve until the agent is gone, then clean up."""
        for fd in self._wakes:
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wakes[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._channel, selectors.EVENT_READ)
                selector.register(self._wakes[0], selectors.EVENT_READ)
                self._serve(selector)
        except (ConnectionError, _Told):
            pass  # the agent is gone
        finally:
            self._end_everything()

    def _serve(self, selector: selectors.BaseSelector) -> None:
        wake, looked_s, strays_s = self._wakes[0], 0.0, 0.0
        while True:
            ready = {key.fd for key, _ in selector.select(self._patience_s())}
            if wake in ready:
                with suppress(BlockingIOError):
                    os.read(wake, 4096)
            if self._channel.fileno() in ready:
                for order in self._orders():
                    self._obey(order)
            if self._reap() or not ready:
                self._reserve.tend(now_s=guard.now_s())
            now_s = guard.now_s()
            if self._tasks and now_s - looked_s >= guard.GUARDED_S:
                self._hold_to_limits(now_s)
                looked_s = guard.now_s()
            if self._tasks and now_s - strays_s > STRAY_S:
                self._kill_strays(note=True)
                strays_s = now_s

    def _patience_s(self) -> float | None:
        """How long to wait for something to happen."""
        reserve_s = self._reserve.patience_s(now_s=guard.now_s())
        if not self._tasks:
            return reserve_s
        return guard.GUARDED_S if reserve_s is None else min(reserve_s, guard.GUARDED_S)

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
        order["cores"] = self._cores.take(limits.get("cpu"), order.get("cpu_share"))
        try:
            pid = self._fork(order, fds, user)
        except (recruit.CannotBecome, OSError) as error:
            self._users.give_back(user)
            self._cores.give_back(order["cores"])
            return {"id": order["id"], "error": str(error)}
        guarded = guard.Guarded(pid, order["folder"], limits, now_s=guard.now_s())
        self._tasks[pid] = Task(order["id"], user, order["cores"], guarded)
        return {"id": order["id"], "pid": pid}

    def _fork(self, order: dict[str, Any], fds: list[int], user: int | None) -> int:
        """The pid of the process that has become the task. Raises CannotBecome, OSError."""
        try:
            if user is not None:
                os.chown(order["folder"], user, user)
            elif "processes" in order["limits"]:
                order["limits"]["others"] = self._others.count()
            return self._recruited(order, fds, user)
        finally:
            for fd in fds:
                os.close(fd)

    def _recruited(self, order: dict[str, Any], fds: list[int], user: int | None) -> int:
        """The pid of the recruit that has become the task. Raises CannotBecome."""
        spare = self._reserve.take(now_s=guard.now_s())
        if spare is not None:
            with suppress(recruit.Deserted):
                return spare.become(order, fds, user)
        try:
            return self._recruit().become(order, fds, user)
        except OSError as error:
            raise recruit.CannotBecome(f"cannot fork: {error.strerror}") from None
        except recruit.Deserted:
            raise recruit.CannotBecome("what should become the task was ended") from None

    def _recruit(self) -> recruit.Recruit:
        """Raises OSError."""
        return recruit.Recruit([self._channel.fileno(), *self._wakes, *self._fds])

    # --- limits -------------------------------------------------------------------------------

    def _hold_to_limits(self, now_s: float) -> None:
        for leader, task in self._tasks.items():
            why = task.guarded.excess(now_s=now_s)
            if why:
                task.guarded.why = task.guarded.why or why
                tree.kill(leader)

    # --- ends ---------------------------------------------------------------------------------

    def _reap(self) -> bool:
        """Wait for what has ended; a leader's pid stays taken until its task is wholly gone.

        Whether a task has ended.
        """
        any_task = False
        while True:
            ended = _an_ended_child()
            if ended is None:
                return any_task
            left = ended in self._tasks and self._kill_survivors(ended)
            _, status = os.waitpid(ended, 0)
            self._reserve.lose(ended)
            task = self._tasks.pop(ended, None)
            if task is not None:
                self._users.give_back(task.user)
                self._cores.give_back(task.cores)
                any_task = True
                self._report(_ended(task, os.waitstatus_to_exitcode(status), left))

    def _kill_survivors(self, leader: int) -> bool:
        """Kill what an ended leader has left; whether there was anything that did not end by itself."""
        deadline_s = time.monotonic() + GRACE_S
        while (left := self._survivors(leader)) and time.monotonic() < deadline_s:
            time.sleep(0.001)
        if left:
            tree.kill_group(leader)
        deadline_s = time.monotonic() + KILL_LIMIT_S
        while self._kill_strays(of=leader, note=True) and time.monotonic() < deadline_s:
            time.sleep(0.001)
        return left

    def _survivors(self, leader: int) -> bool:
        """Whether anything is alive that may be of this ended task and of no other; orphans are ours now."""
        return any(found.alive and self._may_be_of(leader, found) for found in self._orphans(of=leader))

    def _may_be_of(self, leader: int, orphan: proc.Process) -> bool:
        """Nobody is blamed for what is surely another's: its user tells, or that another was seen with it."""
        user = self._tasks[leader].user
        if orphan.session == leader or user is not None:
            return orphan.session == leader or _user_of(orphan.pid) == user
        others = (task for pid, task in self._tasks.items() if pid != leader)
        return not any(task.guarded.started(orphan.pid) for task in others)

    def _orphans(self, *, of: int | None) -> Iterator[proc.Process]:
        """Children of ours that lead no task and are in no running task's session."""
        for pid in proc.children(os.getpid()):
            found = proc.look(pid) if pid not in self._tasks and pid != self._reserve.pid else None
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
    jail.get_ready()
    gc.freeze()  # what a forked child does not touch it need not copy
    Warden(channel, work, above_work, tasks_users).run()


if __name__ == "__main__":
    main()
