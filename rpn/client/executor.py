"""The pool as a `concurrent.futures.Executor`: every call runs on some device that takes Python calls."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

from rpn.client.future import Future
from rpn.client.options import Options
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
