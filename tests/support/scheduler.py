"""A real scheduler inside the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from rpn.settings import SchedulerSettings
from rpn.store.connection import Connection
from scheduler.app import Scheduler


@asynccontextmanager
async def scheduling(redis_url: str, pool: str, **settings: Any) -> AsyncIterator[Scheduler]:
    """One scheduler of this pool, until the block ends; then it hands over."""
    connection, stop = Connection(redis_url), asyncio.Event()
    scheduler = Scheduler(connection, SchedulerSettings(redis_url=redis_url, pool=pool, **settings))
    running = asyncio.create_task(scheduler.run(stop))
    try:
        yield scheduler
    finally:
        stop.set()
        await running
        await connection.close()
