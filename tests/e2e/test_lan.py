"""A pool that the network is told of, heard over real zeroconf on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rpn.cli import lan
from tests.support.cluster import Cluster, running, wait_for

pytest.importorskip("zeroconf")

HERE = ["127.0.0.1"]
LOOK_S = 0.5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    data = tmp_path_factory.mktemp("lan") / "data"
    with running(data, RPN_LAN="yes", RPN_HOST="127.0.0.1", RPN_AUTH="token") as cluster:
        yield cluster


async def heard_of(port: int) -> list[lan.Heard]:
    """The pools at this port of ours: other tests may tell of theirs."""
    found = await lan.look(interfaces=HERE, for_s=LOOK_S)
    return [each for each in found if each.address == f"127.0.0.1:{port}"]


async def test_rpn_up_tells_the_network_and_says_so(pool: Cluster) -> None:
    found: list[lan.Heard] = []
    while not found:  # it takes a second until the name is known to be free
        found = await heard_of(pool.first_port)
    assert (found[0].asks, found[0].tls) == (True, False)
    assert found[0].server == f"127.0.0.1:{pool.first_port}"
    wait_for(lambda: "On this network" in pool.log.read_text(), within_s=10, what="the welcome")
    assert "`rpn agent join` finds it by itself" in pool.log.read_text()


async def test_who_is_gone_is_told_of_no_more() -> None:
    async with lan.announced("127.0.0.1", 9, asks=True, tls=True):
        (found,) = await heard_of(9)
        assert (found.server, found.asks) == ("https://127.0.0.1:9", True)
    assert await heard_of(9) == []


async def test_two_on_one_machine_have_two_names() -> None:
    async with (
        lan.announced("127.0.0.1", 7, asks=True, tls=False),
        lan.announced("127.0.0.1", 8, asks=False, tls=False),
    ):
        found = [*await heard_of(7), *await heard_of(8)]
    assert [each.asks for each in found] == [True, False]
    assert len({each.name for each in found}) == 2
