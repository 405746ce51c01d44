"""Dask distributed: two worker processes on this machine, nothing on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Client, LocalCluster

from bench.tasks.peers.race import Peer

_open: list[Client] = []


def echo(given: str) -> str:
    return given


@contextmanager
def workers() -> Iterator[None]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        _open.append(client)
        yield
        _open.clear()


def submit(given: str) -> Any:
    return _open[0].submit(echo, given, pure=False)


def result(future: Any) -> Any:
    return future.result(timeout=60)


PEER = Peer(workers, submit, result)
