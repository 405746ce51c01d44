"""The pool as a `concurrent.futures.Executor`: every call runs on some device that takes Python calls."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any

from rpn.client import calls, chunks
from rpn.client.future import Future
from rpn.client.options import Options
from rpn.client.spread import Chunk, Member, Spread
from rpn.client.sync import Pool


class Executor(concurrent.futures.Executor):
    """`with rpn.Executor("http://desk.local:3000") as pool: list(pool.map(f, range(1000)))`.

    Calls go to devices whose owners let this submitter run Python, under the same minor version of
    Python; functions, arguments and results must be picklable by cloudpickle. Connects when it is
    made: raises Unreachable when no gateway takes us in time, or why it refuses.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        name: str = "",
        options: Options | None = None,
        **needs: Any,
    ) -> None:
        """What each call needs, as Options or as its keywords: cpu, memory, gpu, timeout_s, retries, ..."""
        self._options = options or Options(**needs)
        self._pool = Pool(server, token=token, name=name, watch=False)
        self._pool.open()
        self._open: set[Future] = set()
        self._lock = threading.Lock()
        self._over = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Have `fn(*args, **kwargs)` run somewhere. Raises RuntimeError after `shutdown`."""
        with self._lock:
            if self._over:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future = self._pool.submit_with(self._options, fn, *args, **kwargs)
            self._open.add(future)
        future.add_done_callback(self._ended)
        return future

    def map(
        self,
        fn: Callable[..., Any],
        /,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 0,
    ) -> Iterator[Any]:
        """As in the standard library. `chunksize` calls travel in one task; 0: as many as turns out well.

        What limits a call in time, or how often it may run, holds for a task: then each goes alone.
        """
        if chunksize == 1 or self._options.timeout_s is not None or self._options.retries is not None:
            return super().map(fn, *iterables, timeout=timeout)
        end_s = None if timeout is None else monotonic() + timeout
        members = [Member(args, self._pool.cancel) for args in zip(*iterables, strict=False)]
        with self._lock:
            if self._over:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._open.update(members)
        for member in members:
            member.add_done_callback(self._ended)
        chunks.travel_by_value()
        spread = Spread(members, lambda chosen: self._sent(fn, chosen), size=chunksize)
        threading.Thread(target=spread.run, name="rpn.Executor.map", daemon=True).start()
        return _in_order(members, end_s)

    def _sent(self, fn: Callable[..., Any], members: list[Member]) -> Chunk:
        chunk = Chunk(members, self._pool.cancel, calls.value_of)
        self._pool.send(chunk, self._options, chunks.run, (fn, [member.args_ for member in members]), {})
        return chunk

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; those under way are waited for, or with `cancel_futures` stopped if queued."""
        with self._lock:
            self._over = True
            waiting = list(self._open)
        if cancel_futures:
            for future in waiting:
                future.cancel()
        if wait:
            self._close(waiting)
        else:
            threading.Thread(target=self._close, args=(waiting,), name="rpn.Executor.shutdown").start()

    def _close(self, waiting: list[Future]) -> None:
        concurrent.futures.wait(waiting)
        self._pool.close()

    def _ended(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._open.discard(future)


def _in_order(members: list[Member], end_s: float | None) -> Iterator[Any]:
    try:
        for member in members:
            yield member.result(None if end_s is None else max(0.0, end_s - monotonic()))
    finally:
        for member in members:
            member.cancel()
