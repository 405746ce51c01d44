"""Celery over Redis: the application that its workers import, and how it is measured."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery

from bench.tasks.peers.race import Peer, child

URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:1/0")
app = Celery("bench", broker=URL, backend=URL)


@app.task
def echo(given: str) -> str:
    return given


@contextmanager
def workers() -> Iterator[None]:
    with child([sys.executable, "-m", "celery", "-A", __name__, "worker", "--concurrency", "2"]):
        yield


def submit(given: str) -> Any:
    return echo.delay(given)


def result(sent: Any) -> Any:
    return sent.get(timeout=60)


PEER = Peer(workers, submit, result)
