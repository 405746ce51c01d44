"""Use a pool from asyncio: see its devices, reserve resources, have tasks run."""

from __future__ import annotations

import asyncio
import platform
import random
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar, overload

from rpn.client import calls
from rpn.client.api import Api, Unreachable
from rpn.client.device import Device as DeviceLink
from rpn.client.held import Held
from rpn.client.link import GREETING_ID, Link
from rpn.client.listing import DeviceList
from rpn.client.mirror import Change, Mirror
from rpn.client.options import Options, requirements
from rpn.client.outstanding import Claim, Outstanding, submit
from rpn.client.refusals import TaskFailed, exception_of
from rpn.client.requests import Asked, Asking
from rpn.client.servers import parse_servers, told_server, told_token
from rpn.client.submission import Submission
from rpn.errors import NotAllowed, RPNError, Unavailable
from rpn.messages import (
    Ack,
    AllocationRenew,
    AllocationUpdate,
    Error,
    FromServer,
    Message,
    Observe,
    Register,
    ResourceAllocation,
    ResourceRelease,
    TaskProgress,
    TaskResultMessage,
    TaskStatus,
)
from rpn.model import Allocation, Outcome, Requirements, Task

RETRY_S = 2.0
"""After `Unavailable` a task or request is sent again within this time."""
CONNECT_LIMIT_S = 10.0
"""How long the first connection may take."""

T = TypeVar("T")


class AsyncPool:
    """A pool, while the `async with` block lasts; what is under way survives lost connections.

    It joins as a device that offers nothing, or with `observe=True` as a mere watcher, which can
    neither reserve nor submit. With `watch=False` it hears nothing of the pool's devices, which is
    what a program wants that only has work to do.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        name: str = "",
        device_id: str = "",
        observe: bool = False,
        watch: bool = True,
        connect_timeout_s: float = CONNECT_LIMIT_S,
    ) -> None:
        """`server` names gateways, comma-separated; each is tried. Without it, and without a `token`,
        RPN_SERVER and RPN_TOKEN (or RPN_TOKEN_FILE) tell. Raises BadSettings if they name no server.
        """
        self.device_id = device_id or f"client-{uuid.uuid4()}"
        self._server = told_server() if server is None else server
        self._token = told_token() if token is None else token
        self._name = name or f"{platform.node() or 'unknown'} (client)"
        self._observes, self._watches = observe, watch or observe
        self._connect_timeout_s = connect_timeout_s
        self._mirror = Mirror()
        self._listed = asyncio.Event()
        self._watchers: set[asyncio.Queue[Change]] = set()
        self._asking = Asking()
        self._outstanding = Outstanding()
        self._holds: dict[str, Callable[[AllocationUpdate], None]] = {}
        self._received: list[str] = []
        self._refusal: RPNError | None = None
        self._group = asyncio.TaskGroup()
        self._link = self._make_link(parse_servers(self._server))
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncPool:
        """Connect. Raises Unreachable when no gateway takes us in time, or why it refuses."""
        await self._group.__aenter__()
        self._running = self._group.create_task(self._link.run())
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._link.online.wait()
        except TimeoutError:
            self._running.cancel()
            await self._group.__aexit__(None, None, None)
            raise self._refusal or Unreachable(f"no gateway at {self._server} answers") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
        for claim in self._outstanding.claims():
            claim.refuse(TaskFailed("the pool was closed before its outcome was known", "UNKNOWN"))
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as failures:
            if list(failures.exceptions) != [error]:
                raise
            # the block's own error goes on as it is, when this returns

    def __repr__(self) -> str:
        state = "connected" if self._link.online.is_set() else "not connected"
        return f"<pool at {self._server}: {state}, {len(self._mirror.devices)} devices>"

    # --- seeing -------------------------------------------------------------------------------

    async def devices(self) -> DeviceList:
        """The pool's devices as last heard; waits for the first list."""
        if not self._watches:
            raise NotAllowed("this pool was opened with `watch=False`")
        await self._listed.wait()
        return DeviceList(self._mirror.devices.values())

    async def watch(self) -> AsyncIterator[Change]:
        """Every device that joins, leaves or reports, from now on."""
        changes: asyncio.Queue[Change] = asyncio.Queue()
        self._watchers.add(changes)
        try:
            while True:
                yield await changes.get()
        finally:
            self._watchers.discard(changes)

    # --- reserving ----------------------------------------------------------------------------

    def allocate(
        self,
        *,
        cpu: float = 0,
        memory: float | str = 0,
        storage: float | str = 0,
        gpu: bool = False,
        wait_s: float = 0,
        ttl_s: float | None = None,
        **more: Any,
    ) -> Held:
        """Reserve for an `async with` block: `cpu` cores, `memory` and `storage` in MB or as "4 GiB".

        Asks again for `wait_s` seconds before it raises NotFulfilled. `more` as in
        rpn.client.options.requirements: devices, strategy, labels, exclude, allow_self.
        """
        self._must_be_device()
        needs = requirements(cpu=cpu, memory=memory, storage=storage, gpu=gpu, **more)
        return Held(self, needs, wait_s=wait_s, ttl_s=ttl_s)

    async def request(self, requirements: Requirements) -> Allocation:
        """Reserve resources until `release` or the end of the block; look at `fulfilled`."""
        return (await self.ask(requirements)).allocation

    async def ask(
        self, requirements: Requirements, *, ttl_s: float | None = None, dry_run: bool = False
    ) -> ResourceAllocation:
        """The whole answer to a request, with the `reason` if it is not fulfilled."""
        self._must_be_device()
        asked = Asked(self.device_id, requirements, ttl_s=ttl_s, dry_run=dry_run)
        with self._asking.of(asked):
            self._link.send(asked.message)
            return await asked.answer

    def release(self, allocation: Allocation) -> None:
        """Give an allocation back; one that a lost connection has ended already needs none."""
        self._link.send(ResourceRelease(allocation_id=allocation.id))

    def renew(self, allocation_id: str, ttl_s: float) -> None:
        """Hold it for `ttl_s` seconds from now."""
        self._link.send(AllocationRenew(allocation_id=allocation_id, ttl_s=ttl_s))

    def hold(self, allocation_id: str, updated: Callable[[AllocationUpdate], None]) -> None:
        """Have `updated` called when this allocation changes."""
        self._holds[allocation_id] = updated

    def let_go(self, allocation_id: str) -> None:
        self._holds.pop(allocation_id, None)

    # --- working ------------------------------------------------------------------------------

    @overload
    def submit(self, what: str, input: Any = None, /, **options: Any) -> Submission: ...

    @overload
    def submit(self, what: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Submission: ...

    def submit(self, what: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Submission:
        """Have a device run a command by its name on one input, or a Python function on its arguments.

        For a command, keywords are Options: cpu, memory, gpu, timeout_s, retries, task_id, ... For a
        function they are the function's own: `submit_with(Options(...), fn, ...)` says how to run it.
        """
        if isinstance(what, str):
            return self.submit_with(Options(**kwargs), what, *args)
        return self.submit_with(Options(), what, *args, **kwargs)

    def submit_with(
        self, options: Options, what: str | Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Submission:
        """`submit` with every option said; the same `task_id` never runs a second task."""
        task = self.task_of(options, what, args, kwargs)
        known = self._outstanding.get(task.id)
        if isinstance(known, Submission):
            return known
        read = self.read_result if not isinstance(what, str) else as_it_is
        submission = Submission(task, self.cancel, read)
        self.enter([submission])
        return submission

    def task_of(
        self, options: Options, what: str | Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Task:
        """The task that this submission would be; large calls are sent ahead as blobs."""
        self._must_be_device()
        if isinstance(what, str):
            data = {"command": what, "input": args[0] if args else None}
            return options.task("compute", self.device_id, data)
        return options.task(
            "python", self.device_id, calls.pack(what, args, kwargs, self._api), **calls.LABELS
        )

    def read_result(self, result: Any) -> Any:
        """What a Python function returned, or raises what it raised."""
        return calls.unpack(result, self._api)

    def map(self, what: str | Callable[..., Any], *inputs: Iterable[Any]) -> AsyncIterator[Any]:
        """Results in the order of the inputs, all of which are submitted at once."""
        submissions = [self.submit_with(Options(), what, *each) for each in zip(*inputs, strict=False)]
        return _in_order(submissions)

    def enter(self, claims: Iterable[Claim]) -> None:
        """Have the pool run these tasks."""
        for claim in claims:
            self._outstanding.add(claim)
        self._link.send(*self._outstanding.due())

    def cancel(self, task: Task) -> None:
        """Stop a task of ours; one the pool has not heard of ends here."""
        claim = self._outstanding.get(task.id)
        message = self._outstanding.cancel(task.id)
        if message is not None:
            self._link.send(message)
        elif claim is not None:
            claim.refuse(TaskFailed("cancelled by its submitter", Outcome.CANCELLED))

    # --- the connection's side ----------------------------------------------------------------

    def _api(self) -> Api:
        """A connection of its own for what is larger than a message; to be closed."""
        return Api(self._server, token=self._token)

    def _make_link(self, servers: list[str]) -> Link | DeviceLink:
        if self._observes:
            watch = Observe(request_id=GREETING_ID)
            return Link(servers, lambda: watch, self._heard, on_online=self._online, token=self._token)
        return DeviceLink(servers, self._register, self._heard, on_online=self._online, token=self._token)

    def _register(self) -> Register:
        return Register(
            device_id=self.device_id,
            device_name=self._name,
            platform={"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform),
            accepts=frozenset({"acks"}),
            receives="all" if self._watches else "none",
        )

    def _must_be_device(self) -> None:
        if self._observes:
            raise NotAllowed("an observer only watches: open the pool without `observe`")

    def _online(self) -> None:
        """Say again what is open: the ids make that safe."""
        self._link.send(*self._asking.again(), *self._outstanding.again(), *self._outstanding.due())

    def _heard(self, message: FromServer) -> None:
        handler = self._HANDLERS.get(type(message))
        if handler is not None:
            handler(self, message)
            return
        change = self._mirror.apply(message)
        if self._mirror.complete:
            self._listed.set()
        if change is not None:
            for watcher in self._watchers:
                watcher.put_nowait(change)

    def _acknowledge(self, subject: str) -> None:
        """Tell that an answer has come; all of one frame are told together."""
        if not self._received:
            asyncio.get_running_loop().call_soon(self._acknowledge_all)
        self._received.append(subject)

    def _acknowledge_all(self) -> None:
        received, self._received = self._received, []
        self._link.send(Ack(ids=received), *self._outstanding.due())

    def _allocated(self, message: ResourceAllocation) -> None:
        self._acknowledge(message.allocation.id)
        if self._asking.answered(message):
            self.release(message.allocation)

    def _held_changed(self, message: AllocationUpdate) -> None:
        self._acknowledge(message.allocation.id)
        updated = self._holds.get(message.allocation.id)
        if updated is not None:
            updated(message)

    def _finished(self, message: TaskResultMessage) -> None:
        self._acknowledge(message.task_id)
        claim = self._outstanding.ended(message.task_id)
        if claim is not None:
            claim.settle(message.result)

    def _changed(self, message: TaskStatus) -> None:
        claim = self._outstanding.get(message.task_id)
        if claim is not None:
            claim.changed(message.state)

    def _progressed(self, message: TaskProgress) -> None:
        claim = self._outstanding.get(message.task_id)
        if claim is not None:
            claim.told(message.progress, message.log)

    def _refused(self, message: Error) -> None:
        error = exception_of(message)
        subject = message.request_id or ""
        if subject == GREETING_ID:
            self._refusal = error
        elif isinstance(error, Unavailable):
            wait_s = RETRY_S * random.uniform(0.5, 1)
            asyncio.get_running_loop().call_later(wait_s, self._again, subject)
        elif not self._asking.refused(subject, error):
            claim = self._outstanding.ended(subject)
            if claim is not None:
                claim.refuse(error)

    def _again(self, subject: str) -> None:
        claim = self._outstanding.get(subject)
        message = submit(claim) if claim is not None else self._asking.message(subject)
        if message is not None:
            self._link.send(message)

    _HANDLERS: dict[type[Message], Callable[[AsyncPool, Any], None]] = {  # noqa: RUF012
        ResourceAllocation: _allocated,
        AllocationUpdate: _held_changed,
        TaskResultMessage: _finished,
        TaskStatus: _changed,
        TaskProgress: _progressed,
        Error: _refused,
    }


async def as_completed(submissions: Iterable[Submission]) -> AsyncIterator[Submission]:
    """Each submission when it is done, the earliest first."""
    waiting = {asyncio.ensure_future(_end_of(each)): each for each in submissions}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future)
    finally:
        for future in waiting:
            future.cancel()


async def _end_of(submission: Submission) -> None:
    try:
        await submission
    except asyncio.CancelledError:
        raise
    except Exception:
        return  # whoever awaits the submission learns of it


async def _in_order(submissions: list[Submission]) -> AsyncIterator[Any]:
    try:
        for submission in submissions:
            yield await submission
    finally:
        for submission in submissions:
            submission.cancel()


def as_it_is(result: T) -> T:
    """What a command's result is read as."""
    return result
