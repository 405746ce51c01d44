"""`python -P -m scheduler`: one scheduler process, set by RPN_* variables."""

from __future__ import annotations

import gc
import os
import sys

from rpn import eventloop
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
        eventloop.run(_serve(settings))
    except RPNError as error:
        print(f"rpn scheduler: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(settings: SchedulerSettings) -> None:
    gc.freeze()  # what stands now stands for good
    gc.set_threshold(*GC_THRESHOLD)
    await app.run(settings, stop_on_signals())


if __name__ == "__main__":
    sys.exit(main())
