"""`python -P -m scheduler`: one scheduler process, set by RPN_* variables."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable

from rpn.errors import RPNError
from rpn.observe import configure_logging
from rpn.service import stop_on_signals
from rpn.settings import SchedulerSettings, load
from scheduler import app

GC_THRESHOLD = (300_000, 20, 50)
"""how many new objects between two collections; what is queued and held is many that all stay"""


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    try:
        settings = load(SchedulerSettings, os.environ)
        configure_logging(settings)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings))
    except RPNError as error:
        print(f"rpn scheduler: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(settings: SchedulerSettings) -> None:
    gc.freeze()  # what stands now stands for good
    gc.set_threshold(*GC_THRESHOLD)
    await app.run(settings, stop_on_signals())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's if it is installed, else Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
