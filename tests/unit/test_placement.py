"""Placement and splitting: exact, minimal, explained, and always the same."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpn.model import Requirements, Share
from scheduler.amounts import Amounts, amounts_of, needed
from scheduler.demand import Demand, demand_of
from scheduler.offer import Kind, Offer
from scheduler.placement import best_fit, place
from scheduler.shortfall import Shortfall
from scheduler.split import candidates, whole
from scheduler.stock import Stock


def offer(name: str, *free: int, total: Amounts | None = None) -> Offer:
    amounts = Amounts(*free)
    return Offer(name, name.upper(), amounts, total or amounts)


def stocked(pool: list[Offer]) -> Stock:
    """A stock of offers like these; they may be put into several."""
    return Stock(Offer(each.device_id, each.device_name, each.free, each.total, each.kind) for each in pool)


def placed(requirements: Requirements, pool: list[Offer], *, requester: str) -> list[Share] | Shortfall:
    return place(demand_of(requirements, requester=requester), stocked(pool))


def devices(plan: object) -> list[str]:
    assert isinstance(plan, list)
    return [share.device_id for share in plan]


def test_the_tightest_fit_wins() -> None:
    pool = [offer("big", 800, 8000, 8000), offer("small", 200, 2000, 2000)]
    assert devices(placed(Requirements(cpu=100), pool, requester="x")) == ["small"]


def test_a_request_without_gpu_leaves_gpus_free() -> None:
    pool = [offer("gpu", 100, 1000, 1000, 1), offer("plain", 800, 8000, 8000)]
    assert devices(placed(Requirements(cpu=100), pool, requester="x")) == ["plain"]
    assert devices(placed(Requirements(cpu=100, gpu=True), pool, requester="x")) == ["gpu"]


def test_the_requesters_own_device_comes_last() -> None:
    pool = [offer("me", 100, 100, 100), offer("other", 800, 800, 800)]
    assert devices(placed(Requirements(cpu=100), pool, requester="me")) == ["other"]
    assert devices(placed(Requirements(cpu=100), pool[:1], requester="me")) == ["me"]


def test_the_requesters_own_device_joins_a_split_only_if_it_must() -> None:
    pool = [offer("me", 300, 300, 300), offer("a", 200, 200, 200), offer("b", 200, 200, 200)]
    assert devices(placed(Requirements(cpu=400), pool, requester="me")) == ["a", "b"]
    assert set(devices(placed(Requirements(cpu=600), pool, requester="me"))) == {"me", "a", "b"}


def test_a_split_is_shared_out_evenly_with_one_gpu() -> None:
    pool = [offer("a", 80, 4000, 9000), offer("b", 90, 4000, 9000, 1), offer("c", 10, 10, 10, 1)]
    plan = placed(Requirements(cpu=100, memory=4096, storage=10_000, gpu=True), pool, requester="x")
    assert isinstance(plan, list)
    assert [(share.device_id, *amounts_of(share)) for share in plan] == [
        ("b", 50, 2048, 5000, 1),
        ("a", 50, 2048, 5000, 0),
    ]


def test_two_devices_that_just_suffice_are_used_to_the_last_unit() -> None:
    pool = [offer("a", 1, 3, 7), offer("b", 2, 6, 14)]
    plan = placed(Requirements(cpu=3, memory=9, storage=21), pool, requester="x")
    assert isinstance(plan, list)
    assert {share.device_id: amounts_of(share)[:3] for share in plan} == {"a": (1, 3, 7), "b": (2, 6, 14)}


def test_no_share_has_nothing_of_what_is_needed() -> None:
    pool = [offer(name, 50, 50, 50) for name in "abc"]
    plan = placed(Requirements(cpu=150, memory=2), pool, requester="x")
    assert isinstance(plan, Shortfall), "three shares of two MB would leave one without memory"


def test_fractions_are_rounded_up() -> None:
    plan = placed(Requirements(cpu=0.5, memory=10.2), [offer("a", 100, 100, 100)], requester="x")
    assert isinstance(plan, list)
    assert amounts_of(plan[0]) == (1, 11, 0, 0)


def test_a_shortfall_counts_every_device_once_and_says_what_is_near() -> None:
    total = Amounts(800, 8000, 8000)
    pool = [
        offer("a", 100, 100, 8000, total=total),
        offer("b", 800, 100, 8000, total=total),
        offer("c", 10, 10, 10),
    ]
    found = placed(Requirements(cpu=800, memory=8000), pool, requester="x")
    assert isinstance(found, Shortfall)
    assert (found.devices, found.filtered, found.exhausted) == (3, {"cpu": 1}, {"cpu": 1, "memory": 1})
    assert found.nearest is not None
    assert (found.nearest.device_id, found.nearest.missing) == ("a", {"cpu": 700, "memory": 7900})
    assert found.reason.code == "INSUFFICIENT"
    assert found.sentence == (
        "not now: of 3 devices 1 (1 cpu) cannot hold it and 2 (1 cpu, 1 memory) are too busy; together they "
        "could carry 2 % of it; the nearest is A, which lacks 7 cores, 7900 MB memory"
    )


def test_where_more_devices_are_asked_for_than_may_serve_the_sentence_says_how_many_there_are() -> None:
    need = Requirements(cpu=100, devices=2)
    for free in (800, 10):
        found = placed(need, [offer("a", free, 800, 800, total=Amounts(800, 800, 800))], requester="x")
        assert isinstance(found, Shortfall)
        assert found.sentence == (
            "never, as the pool is: it asks for 2 devices, and the pool has 1 that may serve it"
        )
        assert (found.reason.code, found.reason.change) == ("INFEASIBLE", None)
        assert sum([*found.filtered.values(), *found.exhausted.values()]) == found.devices == 1


def test_what_the_pool_could_never_hold_is_infeasible() -> None:
    found = placed(Requirements(cpu=100, gpu=True), [offer("a", 800, 800, 800)], requester="x")
    assert isinstance(found, Shortfall)
    assert (found.reason.code, found.filtered) == ("INFEASIBLE", {"gpu": 1})


def test_an_empty_pool_says_so() -> None:
    found = placed(Requirements(cpu=1), [], requester="x")
    assert isinstance(found, Shortfall)
    assert (found.devices, found.reason.code) == (0, "INFEASIBLE")


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
    plan = placed(need, pool, requester="d0")
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
    plan = placed(need, pool, requester="nobody")
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
    assert placed(need, mixed, requester="d0") == placed(need, pool, requester="d0")


@given(needs, offers)
def test_shares_carry_the_same_fraction_of_everything(need: Requirements, pool: list[Offer]) -> None:
    plan = placed(need, pool, requester="d0")
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


@pytest.mark.parametrize("submitter_id", ["a", "b"])
def test_a_task_is_never_split(submitter_id: str) -> None:
    pool = [offer("a", 60, 60, 60), offer("b", 60, 60, 60)]
    assert best_fit(Demand(Amounts(100), devices=1, requester=submitter_id), stocked(pool)) is None


# --- which devices may serve, and how many ----------------------------------------------------


def labelled(name: str, **labels: str) -> Offer:
    room = Amounts(400, 400, 400)
    return Offer(name, name.upper(), room, room, Kind(labels=frozenset(labels.items())))


def test_only_devices_that_carry_the_labels_serve() -> None:
    pool = [labelled("a"), labelled("b", zone="x"), labelled("c", zone="x", disk="ssd")]
    wanted = Requirements(cpu=100, labels={"zone": "x", "disk": "ssd"})
    assert devices(placed(wanted, pool, requester="x")) == ["c"]
    none = placed(Requirements(cpu=100, labels={"zone": "y"}), pool, requester="x")
    assert isinstance(none, Shortfall)
    assert (none.reason.code, none.filtered, none.devices) == ("CONSTRAINT", {"labels": 3}, 3)


def test_excluded_devices_and_ones_own_do_not_serve() -> None:
    pool = [labelled("a"), labelled("b"), labelled("me")]
    assert devices(placed(Requirements(cpu=100, exclude=["a"]), pool, requester="me")) == ["b"]
    none = placed(Requirements(cpu=100, exclude=["a", "b"], allow_self=False), pool, requester="me")
    assert isinstance(none, Shortfall)
    assert none.filtered == {"exclude": 2, "self": 1}


def test_a_request_for_so_many_devices_gets_equal_shares_of_as_many() -> None:
    pool = [offer(name, 400, 400, 400, int(name == "c")) for name in "abcd"]
    plan = placed(Requirements(cpu=100, memory=200, gpu=True, devices=3), pool, requester="a")
    assert isinstance(plan, list)
    assert [(share.device_id, *amounts_of(share)) for share in plan] == [
        ("c", 34, 67, 0, 1),
        ("b", 33, 67, 0, 0),
        ("d", 33, 66, 0, 0),
    ]
    assert isinstance(placed(Requirements(cpu=100, devices=5), pool, requester="x"), Shortfall)


def test_one_device_means_one_even_where_two_would_do() -> None:
    pool = [offer(name, 60, 60, 60) for name in "ab"]
    assert isinstance(placed(Requirements(cpu=100), pool, requester="x"), list)
    found = placed(Requirements(cpu=100, devices=1), pool, requester="x")
    assert isinstance(found, Shortfall)
    assert found.change == {"cpu": 60}


def test_spread_takes_the_emptiest_device() -> None:
    total = Amounts(800, 800, 800)
    pool = [offer("busy", 200, 200, 800, total=total), offer("free", 800, 800, 800)]
    assert devices(placed(Requirements(cpu=100, strategy="spread"), pool, requester="x")) == ["free"]
    assert devices(placed(Requirements(cpu=100, strategy="pack"), pool, requester="x")) == ["busy"]


def worker(name: str, types: list[str] | None, commands: list[str] | None) -> Offer:
    room = Amounts(400, 400, 400)
    known = [None if each is None else frozenset(each) for each in (types, commands)]
    return Offer(name, name.upper(), room, room, Kind(True, frozenset(), *known))


def test_a_task_goes_where_its_command_is() -> None:
    pool = [offer("plain", 400, 400, 400), worker("a", ["compute"], ["echo"]), worker("b", None, None)]
    wanted = Demand(Amounts(10), devices=1)
    render = wanted._replace(terms=wanted.terms._replace(task_type="compute", command="render"))
    wasm = wanted._replace(terms=wanted.terms._replace(task_type="wasm"))
    echo = wanted._replace(terms=wanted.terms._replace(task_type="compute", command="echo"))
    chosen = [best_fit(demand, stocked(pool)) for demand in (render, wasm, echo)]
    assert [found.device_id if found else "" for found in chosen] == ["b", "b", "a"]
    busy = [worker("a", ["compute"], ["echo"]), worker("c", ["compute"], ["render"])]
    found = place(render._replace(need=Amounts(900)), stocked(busy))
    assert isinstance(found, Shortfall)
    assert found.filtered == {"command": 1, "cpu": 1}


def test_what_no_device_says_it_runs_is_for_any_of_them_to_reject() -> None:
    stock = stocked([offer("plain", 400, 400, 400), worker("a", ["compute"], ["echo"])])
    for task_type, command in (("compute", "unheard-of"), ("poetry", "")):
        wanted = Demand(Amounts(10), devices=1)
        found = best_fit(
            wanted._replace(terms=wanted.terms._replace(task_type=task_type, command=command)), stock
        )
        assert found is not None
        assert found.device_id == "a"


def test_work_that_needs_nothing_goes_where_least_is_done() -> None:
    stock = stocked([worker(name, None, None) for name in "abc"])
    idle = Demand(devices=1)._replace(terms=Demand().terms._replace(task_type="compute"))
    chosen = []
    for _ in range(6):
        found = best_fit(idle, stock)
        assert found is not None
        chosen.append(found.device_id)
        stock.hold(found, found.held + 1)
    assert sorted(chosen) == ["a", "a", "b", "b", "c", "c"]


def test_a_device_has_only_so_many_tasks_at_a_time() -> None:
    stock = stocked([worker("a", None, None)])
    idle = Demand(devices=1)._replace(terms=Demand().terms._replace(task_type="compute"))
    stock.hold(stock.offers["a"], 256)
    assert best_fit(idle, stock) is None
    stock.hold(stock.offers["a"], 255)
    assert best_fit(idle, stock) is not None


def test_devices_that_are_away_are_counted_with_their_reason() -> None:
    stock = stocked([offer("a", 10, 10, 10)])
    stock.set_aside(offer("b", 900, 900, 900), "lost")
    found = place(demand_of(Requirements(cpu=100), requester="x"), stock)
    assert isinstance(found, Shortfall)
    assert (found.devices, found.filtered) == (2, {"lost": 1, "cpu": 1})


kinds = st.sampled_from([Kind(), Kind(labels=frozenset({("zone", "x")})), Kind(True)])
many = st.lists(
    st.tuples(st.builds(Amounts, small, small, small, st.integers(0, 1)), kinds), max_size=60
).map(lambda each: [Offer(f"d{n}", "", free, free, kind) for n, (free, kind) in enumerate(each)])


@given(needs, many, st.booleans(), st.integers(0, 60))
def test_what_an_exact_scan_finds_the_grid_finds(
    need: Requirements, pool: list[Offer], zoned: bool, barred: int
) -> None:
    demand = demand_of(need, requester="d0")._replace(devices=1)
    labels = frozenset({("zone", "x")} if zoned else ())
    demand = demand._replace(terms=demand.terms._replace(labels=labels, exclude=frozenset({f"d{barred}"})))
    fitting = [each for each in pool if each.free.covers(demand.need) and not demand.terms.broken_by(each)]
    found = best_fit(demand, stocked(pool))
    assert (found is None) == (not fitting)
    if found is not None:
        assert found.device_id in {each.device_id for each in fitting}
        assert (found.device_id == "d0") == (len(fitting) == 1 and fitting[0].device_id == "d0")


@given(needs, many, st.integers(1, 6))
def test_equal_shares_are_equal_and_add_up(need: Requirements, pool: list[Offer], count: int) -> None:
    demand = demand_of(need, requester="d0")._replace(devices=count)
    plan = place(demand, stocked(pool))
    if isinstance(plan, Shortfall):
        assert sum(plan.filtered.values()) + sum(plan.exhausted.values()) == plan.devices == len(pool)
        return
    assert len({share.device_id for share in plan}) == len(plan) == count
    free = {each.device_id: each.free for each in pool}
    assert all(free[share.device_id].covers(amounts_of(share)) for share in plan)
    for index in range(4):
        dealt = [amounts_of(share)[index] for share in plan]
        assert sum(dealt) == demand.need[index]
        assert max(dealt) - min(dealt) <= 1
