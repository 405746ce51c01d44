"""A thread with an event loop in which something asynchronous lives, for programs that wait."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Portal(Generic[T]):
    """Holds what `make` gives open, in a thread of its own, from `open` to `close`."""

    def __init__(
        self,
        make: Callable[[], AbstractAsyncContextManager[T]],
        *,
        name: str,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        """`ended` is called in the thread, at its end: nothing that is posted runs any more."""
        self._make = make
        self._name = name
        self._ended = ended
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> T:
        """Start the thread; raises what opening raises."""
        opened: Future[T] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name=self._name, daemon=True)
        self._thread.start()
        return opened.result()

    def call(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run it there and wait for what it gives or raises; an interrupt cancels it."""
        loop = self._running_loop()
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have `function` called there soon. Raises RuntimeError when the thread has ended."""
        self._running_loop().call_soon_threadsafe(function, *args)

    def close(self) -> None:
        """End the thread in good order; once more does no harm."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stop is None:
            return
        if thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has ended by itself a moment ago
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            raise RuntimeError(f"{self._name} is not open: use it in a `with` block")
        return self._loop

    def _run(self, opened: Future[T]) -> None:
        try:
            asyncio.run(self._live(opened))
        finally:
            self._ended()

    async def _live(self, opened: Future[T]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self._make() as held:
                opened.set_result(held)
                await self._stop.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)
