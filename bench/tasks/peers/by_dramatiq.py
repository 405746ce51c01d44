"""dramatiq over Redis: the actor that its workers import, and how it is measured."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.tasks.peers.race import Peer, child

URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:1/0")
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def echo(given: str) -> str:
    return given


@contextmanager
def workers() -> Iterator[None]:
    with child([sys.executable, "-m", "dramatiq", __name__, "--processes", "2", "--threads", "8"]):
        yield


def submit(given: str) -> Any:
    return echo.send(given)


def result(message: Any) -> Any:
    return message.get_result(block=True, timeout=60_000)


PEER = Peer(workers, submit, result)
