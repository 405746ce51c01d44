"""Servers with replicas and Sentinels, and Clusters, one of each for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from tests.support.servers import ClusterServer, ReplicatedCluster, SentinelServers

Replicated = SentinelServers | ReplicatedCluster
"""a master of the pool `p` with two replicas, and somebody who sees to it that one of them takes its place"""


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelServers]:
    with SentinelServers(tmp_path) as servers:
        yield servers


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterServer]:
    with ClusterServer(tmp_path) as servers:
        yield servers


@pytest.fixture(params=["sentinels", "cluster"])
def replicated_servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replicated]:
    """Either kind, one after the other."""
    kind: Replicated = (
        SentinelServers(tmp_path) if request.param == "sentinels" else ReplicatedCluster(tmp_path, pool="p")
    )
    with kind as servers:
        yield servers


@pytest.fixture
def keys() -> Keys:
    return Keys("p")


@pytest.fixture
async def replicated(replicated_servers: Replicated) -> AsyncIterator[Connection]:
    """A connection for which only that is accepted which a replica has."""
    connection = Connection(replicated_servers.url, pool="p", durability="replica")
    yield connection
    await connection.close()


@pytest.fixture
async def clustered(cluster: ClusterServer) -> AsyncIterator[Connection]:
    connection = Connection(cluster.url, pool="p")
    yield connection
    await connection.close()
