"""What had no place is tried again exactly when something has grown that could hold it."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from rpn.model import Requirements
from scheduler.amounts import Amounts
from scheduler.demand import Demand, demand_of
from scheduler.hopeless import GROWN_LIMIT, Hopeless
from scheduler.offer import Offer
from scheduler.placement import best_fit, find
from scheduler.stock import Stock

small = st.integers(0, 6)
amounts = st.builds(Amounts, small, small, small, st.integers(0, 1))
needs = st.builds(Requirements, cpu=small, memory=small, storage=small, gpu=st.booleans()).filter(
    lambda need: not need.nothing
)
demands = st.builds(
    lambda need, devices: demand_of(need, requester="d0")._replace(devices=devices), needs, st.integers(0, 3)
)
TOTAL = Amounts(6, 6, 6, 1)


def stocked(free: Iterable[Amounts]) -> Stock:
    return Stock(Offer(f"d{number}", "", each, TOTAL) for number, each in enumerate(free))


@given(
    st.lists(amounts, min_size=1, max_size=4),
    st.lists(st.tuples(demands, st.integers(0, 3), amounts), max_size=30),
)
def test_a_stock_that_remembers_finds_what_one_that_forgets_finds(
    free: list[Amounts], turns: list[tuple[Demand, int, Amounts]]
) -> None:
    stock = stocked(free)
    for demand, number, now in turns:
        fresh = stocked(offer.free for offer in stock.offers.values())
        assert find(demand, stock) == find(demand, fresh)
        stock.fill(stock.offers[f"d{number % len(free)}"], *now)


def test_only_what_grew_is_looked_at_again() -> None:
    hopeless, looked = Hopeless(), []
    demand = Demand(Amounts(5), devices=1)

    def serves(asked: Demand, offer: Offer) -> bool:
        looked.append(offer.device_id)
        return offer.cpu >= asked.need.cpu

    hopeless.add(demand)
    assert hopeless.still(demand, serves)
    assert looked == []
    hopeless.grew(Offer("a", "", Amounts(4), TOTAL))
    assert hopeless.still(demand, serves)
    assert hopeless.still(demand, serves)
    assert looked == ["a"]
    hopeless.grew(Offer("b", "", Amounts(5), TOTAL))
    assert not hopeless.still(demand, serves)
    assert looked == ["a", "b"]


def test_what_grows_too_often_makes_all_be_tried_anew() -> None:
    hopeless = Hopeless()
    hopeless.add(Demand(Amounts(5), devices=1))
    for _ in range(GROWN_LIMIT):
        hopeless.grew(Offer("a", "", Amounts(4), TOTAL))
    assert not hopeless


def test_a_device_that_comes_is_looked_at() -> None:
    stock, demand = stocked([Amounts(1)]), Demand(Amounts(5), devices=1)
    assert best_fit(demand, stock) is None
    stock.put(Offer("new", "", Amounts(6), TOTAL))
    offer = best_fit(demand, stock)
    assert offer is not None
    assert offer.device_id == "new"
