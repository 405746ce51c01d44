"""Servers with replicas and Sentinels, and Clusters, one of each for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from tests.support.servers import ClusterServer, SentinelServers


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelServers]:
    with SentinelServers(tmp_path) as servers:
        yield servers


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterServer]:
    with ClusterServer(tmp_path) as servers:
        yield servers


@pytest.fixture
def keys() -> Keys:
    return Keys("p")


@pytest.fixture
async def replicated(sentinels: SentinelServers) -> AsyncIterator[Connection]:
    """A connection for which only that is accepted which a replica has."""
    connection = Connection(sentinels.url, pool="p", durability="replica")
    yield connection
    await connection.close()


@pytest.fixture
async def clustered(cluster: ClusterServer) -> AsyncIterator[Connection]:
    connection = Connection(cluster.url, pool="p")
    yield connection
    await connection.close()
