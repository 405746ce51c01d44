"""Use a pool from a program that waits: the same as AsyncPool, without `await`."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, overload

from rpn.client import calls
from rpn.client.future import Future
from rpn.client.held import Held
from rpn.client.listing import DeviceList
from rpn.client.mirror import Change
from rpn.client.options import Options
from rpn.client.pool import AsyncPool
from rpn.client.portal import Portal
from rpn.client.refusals import TaskFailed, result_of
from rpn.messages import ResourceAllocation
from rpn.model import Allocation, Requirements, Task


class Pool:
    """A pool, while the `with` block lasts; safe to use from several threads.

    Takes what AsyncPool takes: `Pool("http://desk.local:3000", token="...")`.
    """

    def __init__(self, server: str | None = None, **options: Any) -> None:
        self._portal: Portal[AsyncPool] = Portal(
            lambda: AsyncPool(server, **options), name="rpn.Pool", ended=self._refuse_entering
        )
        self._pool: AsyncPool | None = None
        self._entering: deque[Future] = deque()
        self._nudged = False

    def __enter__(self) -> Pool:
        """Connect. Raises Unreachable when no gateway takes us in time, or why it refuses."""
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._pool) if self._pool is not None else "<pool: not open>"

    def open(self) -> None:
        """What the `with` block does at its beginning, for programs that cannot use one."""
        self._pool = self._portal.open()

    def close(self) -> None:
        """What the `with` block does at its end: what is under way is given up."""
        self._pool = None
        self._portal.close()

    # --- seeing -------------------------------------------------------------------------------

    def devices(self) -> DeviceList:
        """The pool's devices as last heard; waits for the first list."""
        return self._portal.call(self._opened.devices())

    def watch(self) -> Iterator[Change]:
        """Every device that joins, leaves or reports, from now on."""
        changes = self._opened.watch()
        while True:
            yield self._portal.call(changes.__anext__())  # type: ignore[arg-type]

    # --- reserving ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def allocate(self, **needs: Any) -> Iterator[Held]:
        """Reserve for a `with` block: `allocate(cpu=2, memory="4GiB", gpu=True, wait_s=30)`."""

        async def make() -> Held:
            return await self._opened.allocate(**needs).__aenter__()

        held = self._portal.call(make())
        try:
            yield held
        finally:
            self._portal.call(held.__aexit__(None, None, None))

    def request(self, requirements: Requirements) -> Allocation:
        """Reserve resources until `release` or the end of the block; look at `fulfilled`."""
        return self._portal.call(self._opened.request(requirements))

    def ask(self, requirements: Requirements, **how: Any) -> ResourceAllocation:
        """The whole answer to a request, with the `reason` if it is not fulfilled."""
        return self._portal.call(self._opened.ask(requirements, **how))

    def release(self, allocation: Allocation) -> None:
        """Give an allocation back."""
        self._portal.post(self._opened.release, allocation)

    # --- working ------------------------------------------------------------------------------

    @overload
    def submit(self, what: str, input: Any = None, /, **options: Any) -> Future: ...

    @overload
    def submit(self, what: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future: ...

    def submit(self, what: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Have a device run a command by its name on one input, or a Python function on its arguments.

        For a command, keywords are Options: cpu, memory, gpu, timeout_s, retries, task_id, ... For a
        function they are the function's own: `submit_with(Options(...), fn, ...)` says how to run it.
        """
        if isinstance(what, str):
            return self.submit_with(Options(**kwargs), what, *args)
        return self.submit_with(Options(), what, *args, **kwargs)

    def submit_with(
        self, options: Options, what: str | Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future:
        """`submit` with every option said."""
        future = Future(self.cancel, result_of if isinstance(what, str) else calls.value_of)
        self.send(future, options, what, args, kwargs)
        return future

    def send(
        self,
        future: Future,
        options: Options,
        what: str | Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Have `future` hear what becomes of this submission."""
        try:
            future.task = self._opened.task_of(options, what, args, kwargs)
        except Exception as error:
            if not callable(what):
                raise
            future.refuse(error)  # what cannot be pickled is told as the standard library tells it
        else:
            self._enter(future)

    def cancel(self, task: Task) -> None:
        """End a task of ours."""
        self._portal.post(self._opened.cancel, task)

    def map(self, what: str | Callable[..., Any], *inputs: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of the inputs, all of which are submitted at once."""
        futures = [self.submit_with(Options(), what, *each) for each in zip(*inputs, strict=False)]
        return _in_order(futures)

    # --- between the threads ------------------------------------------------------------------

    @property
    def _opened(self) -> AsyncPool:
        if self._pool is None:
            raise RuntimeError("the pool is not open: use it in a `with` block")
        return self._pool

    def _enter(self, future: Future) -> None:
        """Hand it to the loop's thread, which is woken once for all that wait."""
        self._entering.append(future)
        if not self._nudged:
            self._nudged = True
            try:
                self._portal.post(self._enter_all)
            except RuntimeError:
                self._refuse_entering()

    def _enter_all(self) -> None:
        self._nudged = False
        if self._pool is None:
            self._refuse_entering()
        else:
            self._pool.enter(self._taken())

    def _refuse_entering(self) -> None:
        """The pool was closed before its thread came to them."""
        self._nudged = False
        for future in self._taken():
            future.refuse(TaskFailed("the pool was closed before it was submitted", "UNKNOWN"))

    def _taken(self) -> list[Future]:
        """All that were entering."""
        taken = []
        with contextlib.suppress(IndexError):  # another thread may take some of them
            while True:
                taken.append(self._entering.popleft())
        return taken


def _in_order(futures: list[Future]) -> Iterator[Any]:
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.stop()
