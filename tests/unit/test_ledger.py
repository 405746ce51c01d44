"""What is free: never counted twice, never given away twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpn.events import Identity
from rpn.model import PoolUsage, Resources
from rpn.replica import Mirrored
from scheduler.amounts import NOTHING, Amounts
from scheduler.ledger import Ledger
from tests.support.scheduling import packed, resources


def device(name: str, has: Resources | None, usage: PoolUsage | None = None) -> Mirrored:
    mirrored = Mirrored(name, Identity(name.upper(), "linux", "127.0.0.1", {}, ["tasks"]), "s", "g")
    mirrored.report(b"" if has is None else packed(name, has, usage))
    return mirrored


def ledger(has: Resources | None, usage: PoolUsage | None = None) -> Ledger:
    books = Ledger()
    books.update(device("a", has, usage))
    return books


def test_a_plain_client_gives_what_is_available_and_not_reserved() -> None:
    books = ledger(resources(cores=4, memory=1000, storage=100, used=50))
    assert books.offers["a"].free == Amounts(200, 500, 50)
    books.reserve("x", "a", Amounts(150, 100, 0))
    assert books.offers["a"].free == Amounts(50, 400, 50)


def test_an_agents_own_work_for_the_pool_is_not_counted_twice() -> None:
    used = PoolUsage(cpu=100, memory=300)
    books = ledger(resources(cores=4, memory=1000, storage=100, used=50), used)
    assert books.offers["a"].free == Amounts(200, 500, 50), "nothing is reserved: all use is foreign"
    books.reserve("x", "a", Amounts(200, 300, 0))
    assert books.offers["a"].free == Amounts(100, 500, 50)


def test_available_above_total_is_clamped() -> None:
    has = Resources(0, 250, 2, 0, 900, 500, 0, 10, 10, has_gpu=False)
    assert ledger(has).offers["a"].free == Amounts(200, 500, 10)


def test_what_an_owner_withholds_is_not_free_even_if_nobody_uses_it() -> None:
    has = Resources(10, 40, 4, 100, 300, 1000, 0, 100, 100, has_gpu=False)
    books = ledger(has, PoolUsage(cpu=0, memory=0))
    assert books.offers["a"].free == Amounts(160, 300, 100)


def test_a_device_whose_owner_withholds_all_of_it_takes_not_even_what_needs_nothing() -> None:
    paused = Resources(10, 0, 4, 100, 0, 1000, 10, 0, 100, has_gpu=True)
    for usage in (None, PoolUsage(cpu=10, memory=20)):
        offer = ledger(paused, usage).offers["a"]
        assert not offer.free.covers(NOTHING)
        assert offer.total.covers(Amounts(400, 1000, 100, 1)), "it may come back"


def test_a_gpu_has_one_holder_at_a_time() -> None:
    books = ledger(resources(gpu=True))
    books.reserve("x", "a", Amounts(gpu=1))
    assert books.offers["a"].free.gpu == 0
    books.release("x")
    assert books.offers["a"].free.gpu == 1


def test_the_lost_and_the_unmeasured_offer_nothing() -> None:
    assert not ledger(None).offers
    books = ledger(resources())
    lost = device("a", resources())
    lost.lost = True
    books.update(lost)
    assert not books.offers
    assert books.total == NOTHING
    lost.lost = False
    books.update(lost)
    assert books.offers["a"].free.cpu == 400


def test_what_a_lost_device_holds_is_still_held_when_it_is_back() -> None:
    books = ledger(resources(memory=100))
    books.reserve("x", "a", Amounts(memory=60))
    lost = device("a", resources(memory=100))
    lost.lost = True
    books.update(lost)
    lost.lost = False
    books.update(lost)
    assert books.offers["a"].free.memory == 40


def test_reserving_the_same_again_counts_once() -> None:
    books = ledger(resources(memory=100))
    books.reserve("x", "a", Amounts(memory=60))
    books.reserve("x", "a", Amounts(memory=60))
    assert books.offers["a"].free.memory == 40


def test_a_device_that_goes_takes_its_reservations_with_it() -> None:
    books = ledger(resources())
    books.reserve("x", "a", Amounts(10))
    books.reserve("x", "elsewhere", Amounts(10))
    books.remove("a")
    assert not books.holders("a")
    assert dict(books.shares("x")) == {"elsewhere": Amounts(10)}


amounts = st.integers(0, 50)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.sampled_from("xyz"), st.builds(Amounts, amounts, amounts)),
        st.tuples(st.just("release"), st.sampled_from("xyz"), st.none()),
        st.tuples(st.just("report"), st.integers(0, 100), st.none() | st.integers(0, 100)),
    )
)


@given(steps)
def test_free_and_reserved_never_exceed_the_total(history: list[tuple[str, object, object]]) -> None:
    books = ledger(resources(cores=1, memory=100))
    for what, subject, detail in history:
        if what == "reserve" and isinstance(detail, Amounts):
            books.release(str(subject))
            if books.offers["a"].free.covers(detail):
                books.reserve(str(subject), "a", detail)
        elif what == "release":
            books.release(str(subject))
        elif isinstance(subject, int):
            usage = PoolUsage(cpu=detail, memory=detail) if isinstance(detail, int) else None
            books.update(device("a", resources(cores=1, memory=100, used=subject), usage))
        reserved = sum(each.memory for each in books.holders("a").values())
        assert 0 <= books.offers["a"].free.memory <= 100 - reserved
        assert reserved <= 100
