"""A pool on a Cluster: found by its slot, followed when the slot moves to another node."""

from __future__ import annotations

import pytest

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.locate import Address, parse, slot_of
from rpn.store.pool import PoolStore
from tests.store.batches import Gateway
from tests.store.listening import following
from tests.support.servers import ClusterServer

pytestmark = pytest.mark.slow


def move_slot(cluster: ClusterServer, slot: int, *, to: int) -> None:
    """Give an empty slot to another node, and tell all."""
    receiver = cluster.nodes[to]
    node_id = receiver.ask("CLUSTER", "MYID").decode()
    for node in (receiver, *cluster.nodes):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", node_id)


def elsewhere(cluster: ClusterServer, pool: str) -> int:
    """The number of a node that does not have this pool."""
    return (cluster.nodes.index(cluster.owner(pool)) + 1) % len(cluster.nodes)


@pytest.mark.parametrize("pool", ["default", "lab", "p", "a-b-c", "x1"])
async def test_every_pool_is_found_where_the_cluster_has_it(cluster: ClusterServer, pool: str) -> None:
    connection = Connection(cluster.url, pool=pool)
    assert await connection.command("SET", Keys(pool).fence, "1")
    assert await connection.command("CLUSTER", "KEYSLOT", Keys(pool).fence) == slot_of(pool)
    await connection.close()


async def test_a_pool_is_followed_to_another_node(
    cluster: ClusterServer, clustered: Connection, keys: Keys
) -> None:
    gateway = Gateway(PoolStore(clustered, keys))
    async with following(clustered, keys) as followed:
        move_slot(cluster, slot_of("p"), to=elsewhere(cluster, "p"))
        await gateway.join("a")
        await followed.until_there("a")
    assert await clustered.commands([("PING",), ("HLEN", keys.devices)]) == [True, 1]


async def test_one_node_less_is_no_reason_not_to_find_the_others(cluster: ClusterServer, keys: Keys) -> None:
    cluster.nodes[elsewhere(cluster, "p")].kill()
    connection = Connection(cluster.url, pool="p")
    assert await connection.command("SET", keys.fence, "1")
    await connection.close()


async def test_a_plain_url_of_a_cluster_is_told_how_to_say_it(cluster: ClusterServer, keys: Keys) -> None:
    place = parse(f"redis://{Address('127.0.0.1', cluster.nodes[elsewhere(cluster, 'p')].port)}/0")
    connection = Connection(place.url)  # type: ignore[union-attr]
    with pytest.raises(StoreUnavailable, match=r"redis\+cluster://"):
        await connection.command("SET", keys.fence, "1")
    await connection.close()
