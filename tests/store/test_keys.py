"""The promises of rpn.store.keys: one slot a pool, no two things under one name."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rpn.store.keys import Keys, task_member, task_of

names = st.text(st.sampled_from("ab:%3A25 é"), min_size=1, max_size=8)
pairs = st.tuples(names, names)


@settings(deadline=None)
@given(pairs)
def test_a_tasks_name_can_be_taken_apart_again(pair: tuple[str, str]) -> None:
    assert task_of(task_member(*pair)) == pair


@settings(deadline=None)
@given(pairs, pairs)
def test_different_tasks_have_different_keys(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = Keys("p")
    assert (keys.task(*one) == keys.task(*other)) == (one == other)


def test_all_keys_of_a_pool_share_one_slot() -> None:
    keys = Keys("p")
    named = [keys.task("a{b}", "c"), keys.inbox("{x}"), keys.mailbox("g"), keys.request("m"), keys.rate("r")]
    assert all(key.startswith("rpn:{p}:") for key in [*keys.permanent, *named, keys.lease, keys.events])


def test_pools_share_nothing() -> None:
    assert not Keys("p").permanent & Keys("q").permanent


def test_a_lease_never_stays_for_ever() -> None:
    assert Keys("p").lease not in Keys("p").permanent
