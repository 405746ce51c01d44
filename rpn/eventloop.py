"""The event loop that a server's process runs on: uvloop's where that is installed, else Python's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def run(service: Coroutine[Any, Any, None]) -> None:
    """Run `service` to its end."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(service)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
