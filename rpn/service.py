"""Start, run, drain: how every process of ours lives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)
Job = Callable[[], Coroutine[Any, Any, None]]
"""One duty of a service; runs until it is cancelled, or fails and ends the service."""


async def serve(*jobs: Job, stop: asyncio.Event, drain: Callable[[], Awaitable[None]] | None = None) -> None:
    """Run `jobs` until `stop` is set or one fails; then `drain`, while they still run."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_watched(job)) for job in jobs]
        await stop.wait()  # a job that fails cancels this wait
        if drain is not None:
            await drain()
        for task in running:
            task.cancel()


async def _watched(job: Job) -> None:
    """A job that ends by a cancel which nobody asked for has failed: a task group would not notice."""
    task = asyncio.create_task(job(), name=getattr(job, "__qualname__", ""))
    asked = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            asked = True
            task.cancel()
    if task.cancelled() and not asked:
        raise RuntimeError(f"{task.get_name()} was cancelled by nobody")
    task.result()


def after(first: Callable[[], Awaitable[None]], job: Job) -> Job:
    """`job`, begun when `first` is over; it does not begin if that fails."""

    async def begun_after() -> None:
        await first()
        await job()

    begun_after.__qualname__ = getattr(job, "__qualname__", "")
    return begun_after


def cause(failure: BaseException, kind: type[E]) -> E | None:
    """The error of this kind that made a service fail, if one did."""
    if isinstance(failure, BaseExceptionGroup):
        found = (cause(each, kind) for each in failure.exceptions)
        return next((each for each in found if each is not None), None)
    return failure if isinstance(failure, kind) else None


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, instead of ending the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop
