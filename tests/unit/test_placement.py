"""Placement and splitting: exact, minimal, explained, and always the same."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpn.model import Requirements
from scheduler.amounts import Amounts, Offer, amounts_of, needed
from scheduler.placement import best_fit, place
from scheduler.shortfall import Shortfall
from scheduler.split import candidates, whole


def offer(name: str, *free: int, total: Amounts | None = None) -> Offer:
    amounts = Amounts(*free)
    return Offer(name, name.upper(), amounts, total or amounts)


def devices(plan: object) -> list[str]:
    assert isinstance(plan, list)
    return [share.device_id for share in plan]


def test_the_tightest_fit_wins() -> None:
    pool = [offer("big", 800, 8000, 8000), offer("small", 200, 2000, 2000)]
    assert devices(place(Requirements(cpu=100), pool, requester="x")) == ["small"]


def test_a_request_without_gpu_leaves_gpus_free() -> None:
    pool = [offer("gpu", 100, 1000, 1000, 1), offer("plain", 800, 8000, 8000)]
    assert devices(place(Requirements(cpu=100), pool, requester="x")) == ["plain"]
    assert devices(place(Requirements(cpu=100, gpu=True), pool, requester="x")) == ["gpu"]


def test_the_requesters_own_device_comes_last() -> None:
    pool = [offer("me", 100, 100, 100), offer("other", 800, 800, 800)]
    assert devices(place(Requirements(cpu=100), pool, requester="me")) == ["other"]
    assert devices(place(Requirements(cpu=100), pool[:1], requester="me")) == ["me"]


def test_the_requesters_own_device_joins_a_split_only_if_it_must() -> None:
    pool = [offer("me", 300, 300, 300), offer("a", 200, 200, 200), offer("b", 200, 200, 200)]
    assert devices(place(Requirements(cpu=400), pool, requester="me")) == ["a", "b"]
    assert set(devices(place(Requirements(cpu=600), pool, requester="me"))) == {"me", "a", "b"}


def test_a_split_is_shared_out_evenly_with_one_gpu() -> None:
    pool = [offer("a", 80, 4000, 9000), offer("b", 90, 4000, 9000, 1), offer("c", 10, 10, 10, 1)]
    plan = place(Requirements(cpu=100, memory=4096, storage=10_000, gpu=True), pool, requester="x")
    assert isinstance(plan, list)
    assert [(share.device_id, *amounts_of(share)) for share in plan] == [
        ("b", 50, 2048, 5000, 1),
        ("a", 50, 2048, 5000, 0),
    ]


def test_two_devices_that_just_suffice_are_used_to_the_last_unit() -> None:
    pool = [offer("a", 1, 3, 7), offer("b", 2, 6, 14)]
    plan = place(Requirements(cpu=3, memory=9, storage=21), pool, requester="x")
    assert isinstance(plan, list)
    assert {share.device_id: amounts_of(share)[:3] for share in plan} == {"a": (1, 3, 7), "b": (2, 6, 14)}


def test_no_share_has_nothing_of_what_is_needed() -> None:
    pool = [offer(name, 50, 50, 50) for name in "abc"]
    plan = place(Requirements(cpu=150, memory=2), pool, requester="x")
    assert isinstance(plan, Shortfall), "three shares of two MB would leave one without memory"


def test_fractions_are_rounded_up() -> None:
    plan = place(Requirements(cpu=0.5, memory=10.2), [offer("a", 100, 100, 100)], requester="x")
    assert isinstance(plan, list)
    assert amounts_of(plan[0]) == (1, 11, 0, 0)


def test_a_shortfall_counts_every_device_once_and_says_what_is_near() -> None:
    total = Amounts(800, 8000, 8000)
    pool = [
        offer("a", 100, 100, 8000, total=total),
        offer("b", 800, 100, 8000, total=total),
        offer("c", 10, 10, 10),
    ]
    found = place(Requirements(cpu=800, memory=8000), pool, requester="x")
    assert isinstance(found, Shortfall)
    assert (found.devices, found.filtered, found.exhausted) == (3, {"cpu": 1}, {"cpu": 1, "memory": 1})
    assert found.nearest is not None
    assert (found.nearest.device_id, found.nearest.missing) == ("a", {"cpu": 700, "memory": 7900})
    assert found.code == "INSUFFICIENT"
    assert found.sentence == (
        "not now: of 3 devices 1 (1 cpu) are too small and 2 (1 cpu, 1 memory) are too busy; together they "
        "could carry 2 % of it; the nearest is A, which lacks 700 core-percent, 7900 MB memory"
    )


def test_what_the_pool_could_never_hold_is_infeasible() -> None:
    found = place(Requirements(cpu=100, gpu=True), [offer("a", 800, 800, 800)], requester="x")
    assert isinstance(found, Shortfall)
    assert (found.code, found.filtered) == ("INFEASIBLE", {"gpu": 1})


def test_an_empty_pool_says_so() -> None:
    found = place(Requirements(cpu=1), [], requester="x")
    assert isinstance(found, Shortfall)
    assert (found.devices, found.code) == (0, "INFEASIBLE")


small = st.integers(0, 30)
offers = st.lists(st.builds(Amounts, small, small, small, st.integers(0, 1)), min_size=1, max_size=6).map(
    lambda each: [offer(f"d{number}", *free) for number, free in enumerate(each)]
)
needs = st.builds(Requirements, cpu=small, memory=small, storage=small, gpu=st.booleans()).filter(
    lambda need: not need.nothing
)


@given(needs, offers)
def test_a_plan_gives_exactly_what_was_asked_from_what_was_there(
    need: Requirements, pool: list[Offer]
) -> None:
    plan = place(need, pool, requester="d0")
    if isinstance(plan, Shortfall):
        assert sum(plan.filtered.values()) + sum(plan.exhausted.values()) == plan.devices == len(pool)
        assert plan.sentence
        return
    free = {each.device_id: each.free for each in pool}
    assert all(free[share.device_id].covers(amounts_of(share)) for share in plan)
    assert len({share.device_id for share in plan}) == len(plan)
    total = Amounts()
    for share in plan:
        total = total.plus(amounts_of(share))
    assert total == needed(need)


@given(needs, offers)
def test_one_device_is_used_if_any_suffices_and_else_no_more_than_needed(
    need: Requirements, pool: list[Offer]
) -> None:
    plan = place(need, pool, requester="nobody")
    amounts = needed(need)
    if any(each.free.covers(amounts) for each in pool):
        assert isinstance(plan, list)
        assert len(plan) == 1
        return
    count = len(plan) - 1 if isinstance(plan, list) else min([len(pool), *filter(None, amounts[:3])])
    for fewer in combinations(candidates(amounts, pool), count):
        enough = sum(each.parts for each in fewer) >= whole(amounts)
        assert not (enough and (not need.gpu or any(each.offer.free.gpu for each in fewer)))


@given(needs, offers, st.randoms())
def test_the_order_of_the_offers_does_not_matter(
    need: Requirements, pool: list[Offer], chance: object
) -> None:
    mixed = list(pool)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert place(need, mixed, requester="d0") == place(need, pool, requester="d0")


@given(needs, offers)
def test_shares_carry_the_same_fraction_of_everything(need: Requirements, pool: list[Offer]) -> None:
    plan = place(need, pool, requester="d0")
    if isinstance(plan, Shortfall) or len(plan) == 1:
        return
    amounts = needed(need)
    for share in plan:
        fractions = [
            (mine / whole_, len(plan) / whole_)
            for mine, whole_ in zip(amounts_of(share)[:3], amounts[:3], strict=True)
            if whole_
        ]
        assert all(fraction > 0 for fraction, _ in fractions)
        for fraction, rounding in fractions:
            assert all(abs(fraction - other) <= rounding + more for other, more in fractions)


@pytest.mark.parametrize("last", ["a", "b"])
def test_a_task_is_never_split(last: str) -> None:
    pool = [offer("a", 60, 60, 60), offer("b", 60, 60, 60)]
    assert best_fit(Amounts(100), pool, last=last) is None
