"""Use a pool from asyncio: see its devices, reserve resources, have tasks run."""

from __future__ import annotations

import asyncio
import platform
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar, overload

from rpn.client import calls
from rpn.client.api import Api, Unreachable
from rpn.client.conversation import Conversation
from rpn.client.held import Held
from rpn.client.link import GREETING_ID, Greeting
from rpn.client.listing import DeviceList
from rpn.client.mirror import Change
from rpn.client.options import Options, requirements
from rpn.client.outstanding import Claim
from rpn.client.plain_json import check_input, check_sendable
from rpn.client.refusals import result_of
from rpn.client.requests import Asked
from rpn.client.servers import parse_servers, told_server, told_token
from rpn.client.submission import Submission
from rpn.errors import NotAllowed, RPNError
from rpn.messages import (
    AllocationRenew,
    AllocationUpdate,
    Observe,
    Register,
    ResourceAllocation,
    ResourceRelease,
)
from rpn.model import Allocation, Requirements, Task

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
        self._observes, self._watches = observe, watch or observe
        self._connect_timeout_s = connect_timeout_s
        self._conversation = Conversation(
            parse_servers(self._server),
            self._greeting(self.device_id, name, watch=self._watches),
            token=self._token,
            api=self._api,
        )
        self._group = asyncio.TaskGroup()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncPool:
        """Connect. Raises Unreachable when no gateway takes us in time, or why it refuses."""
        await self._group.__aenter__()
        self._running = self._group.create_task(self._conversation.run())
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._conversation.welcomed()
        except (TimeoutError, RPNError):
            self._running.cancel()
            await self._group.__aexit__(None, None, None)
            raise self._conversation.refusal or self._unreachable() from None
        return self

    def _unreachable(self) -> Unreachable:
        fault = self._conversation.fault
        return Unreachable(f"no gateway at {self._server} answers" + (f": {fault}" if fault else ""))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
        self._conversation.give_up()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as failures:
            if list(failures.exceptions) != [error]:
                raise
            # the block's own error goes on as it is, when this returns

    def __repr__(self) -> str:
        state = "connected" if self._conversation.online.is_set() else "not connected"
        return f"<pool at {self._server}: {state}, {len(self._conversation.mirror.devices)} devices>"

    # --- seeing -------------------------------------------------------------------------------

    async def devices(self) -> DeviceList:
        """The pool's devices as last heard; waits for the first list."""
        if not self._watches:
            raise NotAllowed("this pool was opened with `watch=False`")
        await self._conversation.listed.wait()
        return DeviceList(self._conversation.mirror.devices.values())

    async def watch(self) -> AsyncIterator[Change]:
        """Every device that joins, leaves or reports, from now on."""
        changes: asyncio.Queue[Change] = asyncio.Queue()
        self._conversation.watchers.add(changes)
        try:
            while True:
                yield await changes.get()
        finally:
            self._conversation.watchers.discard(changes)

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
        check_sendable(asked.message)
        return await self._conversation.ask(asked)

    def release(self, allocation: Allocation) -> None:
        """Give an allocation back; one that a lost connection has ended already needs none."""
        self._conversation.send(ResourceRelease(allocation_id=allocation.id))

    def renew(self, allocation_id: str, ttl_s: float) -> None:
        """Hold it for `ttl_s` seconds from now."""
        self._conversation.send(AllocationRenew(allocation_id=allocation_id, ttl_s=ttl_s))

    def hold(self, allocation_id: str, updated: Callable[[AllocationUpdate], None]) -> None:
        """Have `updated` called when this allocation changes."""
        self._conversation.holds[allocation_id] = updated

    def let_go(self, allocation_id: str) -> None:
        self._conversation.holds.pop(allocation_id, None)

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
        known = self._conversation.claim(task.id)
        if isinstance(known, Submission):
            return known
        read = result_of if isinstance(what, str) else calls.value_of
        submission = Submission(task, self.cancel, read)
        self.enter([submission])
        return submission

    def submit_data(self, options: Options, data: dict[str, Any], *, kind: str = "compute") -> Submission:
        """Have a task of type `kind` run whose data are exactly these."""
        self._must_be_device()
        check_input(data)
        task = options.task(kind, self.device_id, data)
        check_sendable(task)
        submission = Submission(task, self.cancel, result_of)
        self.enter([submission])
        return submission

    def task_of(
        self, options: Options, what: str | Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Task:
        """The task that this submission would be; large calls are sent ahead as blobs.

        Raises TypeError or ValueError for what can be neither run nor sent.
        """
        self._must_be_device()
        if isinstance(what, str):
            data = {"command": what, "input": args[0] if args else None}
            check_input(data)
            task = options.task("compute", self.device_id, data)
        elif callable(what):
            packed = calls.pack(what, args, kwargs, self._api)
            task = options.task("python", self.device_id, packed, **calls.LABELS)
        else:
            raise TypeError(f"give the name of a command or a Python function, not {what!r}")
        check_sendable(task)
        return task

    def map(self, what: str | Callable[..., Any], *inputs: Iterable[Any]) -> AsyncIterator[Any]:
        """Results in the order of the inputs, all of which are submitted at once."""
        submissions = [self.submit_with(Options(), what, *each) for each in zip(*inputs, strict=False)]
        return _in_order(submissions)

    def enter(self, claims: Iterable[Claim]) -> None:
        """Have the pool run these tasks."""
        self._conversation.enter(claims)

    def cancel(self, task: Task) -> None:
        """Stop a task of ours; one the pool has not heard of ends here."""
        self._conversation.cancel(task)

    def _api(self) -> Api:
        """A connection of its own for what is larger than a message; to be closed."""
        return Api(self._server, token=self._token)

    def _greeting(self, device_id: str, name: str, *, watch: bool) -> Greeting:
        if self._observes:
            return Observe(request_id=GREETING_ID)
        return Register(
            device_id=device_id,
            device_name=name or f"{platform.node() or 'unknown'} (client)",
            platform={"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform),
            accepts=frozenset({"acks"}),
            receives="all" if watch else "none",
        )

    def _must_be_device(self) -> None:
        if self._observes:
            raise NotAllowed("an observer only watches: open the pool without `observe`")


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
