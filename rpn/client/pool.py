"""Use a pool from asyncio: see its devices, reserve resources, have tasks run."""

from __future__ import annotations

import asyncio
import platform
import random
import sys
import uuid
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any

from rpn.client.device import Device as DeviceLink
from rpn.client.link import GREETING_ID, Link
from rpn.client.mirror import Mirror
from rpn.client.refusals import TaskFailed, exception_of
from rpn.client.servers import parse_servers
from rpn.errors import NotAllowed, Unavailable
from rpn.messages import (
    Ack,
    Error,
    FromServer,
    Message,
    Observe,
    Register,
    ResourceAllocation,
    ResourceRelease,
    ResourceRequest,
    TaskCancel,
    TaskResultMessage,
    TaskStatus,
    TaskSubmit,
)
from rpn.model import Allocation, Device, Requirements, Task

RETRY_S = 2.0
"""After `Unavailable` a task or request is sent again within this time."""
A_LITTLE = Requirements(cpu=10)
ANSWERED_LIMIT = 10_000
"""Past requests that we remember."""


class Submission:
    """A task on its way; await it for its result. Raises TaskFailed, or why it was refused."""

    def __init__(self, task: Task, pool: AsyncPool) -> None:
        self.task = task
        self.state = "submitted"
        self._pool = pool
        self._result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._result.add_done_callback(_looked_at)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.shield(self._result).__await__()

    def done(self) -> bool:
        return self._result.done()

    def cancel(self) -> None:
        """Stop the task wherever it is; awaiting it raises TaskFailed with code CANCELLED."""
        self._pool.cancel(self.task.id)

    def finish(self, result: Any) -> None:
        if self._result.done():
            return
        if isinstance(result, dict) and result.get("success") is False:
            self.state = "failed"
            failure = TaskFailed(str(result.get("error", "")), str(result.get("code", "")))
            self._result.set_exception(failure)
        else:
            self.state = "succeeded"
            self._result.set_result(result.get("result") if isinstance(result, dict) else result)

    def refuse(self, error: Exception) -> None:
        if not self._result.done():
            self.state = "failed"
            self._result.set_exception(error)


def _looked_at(future: asyncio.Future[Any]) -> None:
    """A result nobody awaits is no reason for a complaint."""
    if not future.cancelled():
        future.exception()


def _has_result(future: asyncio.Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class AsyncPool:
    """A pool, while the `async with` block lasts; what is under way survives lost connections.

    It joins as a device that offers nothing, or with `observe=True` as a mere watcher, which can
    neither reserve nor submit.
    """

    def __init__(
        self, server: str = "127.0.0.1:3000", *, name: str = "", device_id: str = "", observe: bool = False
    ) -> None:
        self.device_id = device_id or f"client-{uuid.uuid4()}"
        self._name = name or platform.node() or "client"
        self._observes = observe
        self._mirror = Mirror()
        self._listed = asyncio.Event()
        self._requests: dict[str, tuple[ResourceRequest, asyncio.Future[Allocation]]] = {}
        self._answered: dict[str, str] = {}
        """past requests and the allocations they got; none for those given up"""
        self._tasks: dict[str, Submission] = {}
        self._group = asyncio.TaskGroup()
        self._link = self._make_link(parse_servers(server))
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncPool:
        await self._group.__aenter__()
        self._running = self._group.create_task(self._link.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as failures:
            if list(failures.exceptions) != [error]:
                raise
            # the block's own error goes on as it is, when this returns

    async def devices(self) -> list[Device]:
        """The pool's devices as last heard; waits for the first list."""
        await self._listed.wait()
        return list(self._mirror.devices.values())

    async def request(self, requirements: Requirements) -> Allocation:
        """Reserve resources until `release` or the end of the block; look at `fulfilled`."""
        self._must_be_device()
        request_id = str(uuid.uuid4())
        request = ResourceRequest(device_id=self.device_id, requirements=requirements, request_id=request_id)
        answer: asyncio.Future[Allocation] = asyncio.get_running_loop().create_future()
        self._requests[request_id] = request, answer
        granted = ""
        try:
            self._link.send(request)
            allocation = await answer
            granted = allocation.id
            return allocation
        finally:
            del self._requests[request_id]
            self._answered[request_id] = granted
            if len(self._answered) > ANSWERED_LIMIT:
                del self._answered[next(iter(self._answered))]

    def release(self, allocation: Allocation) -> None:
        """Give an allocation back; one that a lost connection has ended already needs none."""
        self._link.send(ResourceRelease(allocation_id=allocation.id))

    def submit(
        self,
        command: str,
        input: Any = None,  # noqa: A002 - the word of the protocol
        *,
        requirements: Requirements = A_LITTLE,
        task_id: str = "",
        timeout_s: float | None = None,
        retries: int | None = None,
    ) -> Submission:
        """Have a device run `command` on `input`; the same `task_id` never runs a second task."""
        self._must_be_device()
        task = Task(
            id=task_id or str(uuid.uuid4()),
            type="compute",
            submitter_id=self.device_id,
            requirements=requirements,
            data={"command": command, "input": input},
            timeout_s=timeout_s,
            retries=retries,
        )
        if task.id in self._tasks:
            return self._tasks[task.id]
        submission = self._tasks[task.id] = Submission(task, self)
        self._link.send(_submit(submission))
        return submission

    def cancel(self, task_id: str) -> None:
        """Stop a task of ours."""
        submission = self._tasks.get(task_id)
        if submission is not None:
            submission.state = "cancelling"
            self._link.send(TaskCancel(task_id=task_id))

    # --- the connection's side ----------------------------------------------------------------

    def _make_link(self, servers: list[str]) -> Link | DeviceLink:
        if self._observes:
            watch = Observe(request_id=GREETING_ID)
            return Link(servers, lambda: watch, self._heard, on_online=self._online)
        return DeviceLink(servers, self._register, self._heard, on_online=self._online)

    def _register(self) -> Register:
        return Register(
            device_id=self.device_id,
            device_name=self._name,
            platform={"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform),
            accepts=frozenset({"acks", "events"}),
        )

    def _must_be_device(self) -> None:
        if self._observes:
            raise NotAllowed("an observer only watches: open the pool without `observe`")

    def _online(self) -> None:
        """Say again what is open: the ids make that safe."""
        again: list[Message] = [request for request, _ in self._requests.values()]
        for submission in self._tasks.values():
            again.append(_submit(submission))
            if submission.state == "cancelling":
                again.append(TaskCancel(task_id=submission.task.id))
        self._link.send(*again)

    def _heard(self, message: FromServer) -> None:
        handler = self._HANDLERS.get(type(message))
        if handler is not None:
            handler(self, message)
        self._mirror.apply(message)
        if self._mirror.complete:
            self._listed.set()

    def _allocated(self, message: ResourceAllocation) -> None:
        """Take the answer; what a request gets beyond its first allocation is given back.

        Requests that a lost connection left open are made again, and may be answered twice.
        """
        allocation, request_id = message.allocation, message.request_id or ""
        self._link.send(Ack(ids=[allocation.id]))
        _, answer = self._requests.get(request_id, (None, None))
        if answer is not None and not answer.done():
            answer.set_result(allocation)
            return
        taken = answer.result().id if answer is not None and _has_result(answer) else None
        if self._answered.get(request_id, taken or allocation.id) != allocation.id:
            self.release(allocation)

    def _finished(self, message: TaskResultMessage) -> None:
        self._link.send(Ack(ids=[message.task_id]))
        submission = self._tasks.pop(message.task_id, None)
        if submission is not None:
            submission.finish(message.result)

    def _changed(self, message: TaskStatus) -> None:
        submission = self._tasks.get(message.task_id)
        if submission is not None and submission.state != "cancelling":
            submission.state = message.state

    def _refused(self, message: Error) -> None:
        error = exception_of(message)
        subject = message.request_id or ""
        if isinstance(error, Unavailable):
            wait_s = RETRY_S * random.uniform(0.5, 1)
            asyncio.get_running_loop().call_later(wait_s, self._again, subject)
        elif subject in self._requests:
            answer = self._requests[subject][1]
            if not answer.done():
                answer.set_exception(error)
        elif subject in self._tasks:
            self._tasks.pop(subject).refuse(error)

    def _again(self, subject: str) -> None:
        if subject in self._requests:
            self._link.send(self._requests[subject][0])
        elif subject in self._tasks:
            self._link.send(_submit(self._tasks[subject]))

    _HANDLERS: dict[type[Message], Callable[[AsyncPool, Any], None]] = {  # noqa: RUF012
        ResourceAllocation: _allocated,
        TaskResultMessage: _finished,
        TaskStatus: _changed,
        Error: _refused,
    }


def _submit(submission: Submission) -> TaskSubmit:
    """The submission's message; its `requestId` is the task's id, so that a refusal finds its task."""
    return TaskSubmit(task=submission.task, request_id=submission.task.id)
