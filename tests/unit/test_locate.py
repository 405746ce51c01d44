"""Where a pool lives, as far as its URL tells."""

from __future__ import annotations

import pytest

from rpn.errors import BadSettings
from rpn.store.locate import Address, Asked, Named, parse, slot_of


@pytest.mark.parametrize("url", ["redis://h:1/0", "rediss://u:p@h/2", "unix:///run/x.sock?db=0", "nonsense"])
def test_one_server_is_named_by_its_url(url: str) -> None:
    assert parse(url) == Named(url)


def test_sentinels_have_a_name_for_the_master() -> None:
    place = parse("redis+sentinel://u:p%40@a:1,[::1]:2,c/pool/3?ssl_check_hostname=false")
    assert isinstance(place, Asked)
    assert place.nodes == (Address("a", 1), Address("::1", 2), Address("c", 26379))
    assert (place.by, place.name) == ("sentinel", "pool")
    assert place.master_url(Address("m", 9)) == "redis://u:p%40@m:9/3?ssl_check_hostname=false"
    assert place.node_url(Address("::1", 2), login=False) == "redis://[::1]:2?ssl_check_hostname=false"


def test_a_cluster_has_nodes_alone() -> None:
    place = parse("rediss+cluster://:secret@a,b:7")
    assert isinstance(place, Asked)
    assert (place.by, place.nodes) == ("cluster", (Address("a", 6379), Address("b", 7)))
    assert place.master_url(Address("b", 7)) == "rediss://:secret@b:7/0"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+sentinel://u:secret@a:1", "name the master"),
        ("redis+sentinel://u:secret@a:1/pool/x", "name the master"),
        ("redis+sentinel://u:secret@a:1,,b/pool", "nothing between commas"),
        ("redis+sentinel://u:secret@a:99999/pool", "no port"),
        ("redis+cluster://u:secret@a:1/5", "no databases"),
        ("redis+cluster://u:secret@", "nothing between commas"),
        ("redis+other://u:secret@a:1", "write redis"),
    ],
)
def test_what_cannot_be_says_how_it_is_written_and_never_the_password(url: str, why: str) -> None:
    with pytest.raises(BadSettings, match=f"RPN_REDIS_URL: .*{why}") as refused:
        parse(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("pool", "slot"), [("123456789", 12739), ("foo", 12182), ("bar", 5061), ("hello", 866)]
)
def test_a_pools_slot_is_that_of_the_clusters_own_arithmetic(pool: str, slot: int) -> None:
    assert slot_of(pool) == slot
