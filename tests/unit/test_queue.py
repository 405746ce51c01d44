"""Whose turn it is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from scheduler.amounts import Amounts
from scheduler.demand import Demand
from scheduler.queue import LINES_OF_ONE, Queue, TaskKey


def demand(need: Amounts) -> Demand:
    """A task's that needs so much."""
    return Demand(need, devices=1)


SMALL, BIG = Amounts(100), Amounts(800)


def queue(*tasks: tuple[str, str, int, Amounts, int]) -> Queue:
    """Of (submitter, id, priority, need, age)."""
    found = Queue()
    for submitter_id, task_id, priority, need, submitted_ms in tasks:
        found.add((submitter_id, task_id), priority=priority, demand=demand(need), submitted_ms=submitted_ms)
    return found


def order(found: Queue, *, fits: Amounts = BIG, room: int = 99) -> list[str]:
    """The ids in the order in which they are placed."""
    counts: Counter[str] = Counter()
    placed: list[str] = []
    turns = found.round(lambda submitter_id: (float(counts[submitter_id]), counts[submitter_id], 0))
    while (turn := turns.next()) is not None:
        (submitter_id, task_id), wanted = turn
        if len(placed) < room and fits.covers(wanted.need):
            found.remove((submitter_id, task_id))
            counts[submitter_id] += 1
            placed.append(task_id)
            turns.placed()
        else:
            turns.blocked()
    return placed


def test_priority_comes_before_age() -> None:
    assert order(queue(("s", "old", 0, SMALL, 1), ("s", "urgent", 5, SMALL, 2))) == ["urgent", "old"]


def test_the_oldest_of_one_submitter_comes_first() -> None:
    found = queue(("s", "c", 0, SMALL, 3), ("s", "a", 0, BIG, 1), ("s", "b", 0, SMALL, 2))
    assert order(found) == ["a", "b", "c"]


def test_submitters_take_turns() -> None:
    found = queue(*[("many", f"m{n}", 0, SMALL, n) for n in range(3)], ("few", "f", 0, SMALL, 9))
    assert order(found) == ["m0", "f", "m1", "m2"]


def test_what_does_not_fit_is_skipped() -> None:
    found = queue(("s", "big", 9, BIG, 1), ("s", "small", 0, SMALL, 2))
    assert order(found, fits=SMALL) == ["small"]
    assert len(found) == 1


def test_a_task_that_comes_back_has_the_place_of_its_age() -> None:
    found = queue(("s", "a", 0, SMALL, 1), ("s", "b", 0, SMALL, 2))
    found.remove(("s", "a"))
    found.add(("s", "a"), priority=0, demand=demand(SMALL), submitted_ms=1)
    assert order(found) == ["a", "b"]


def test_a_round_asks_once_for_a_need_that_does_not_fit() -> None:
    found = queue(*[("s", f"t{n}", 0, BIG, n) for n in range(100)], ("other", "t", 0, BIG, 1))
    turns = found.round(lambda _: (0.0, 0, 0))
    asked = 0
    while turns.next() is not None:
        asked += 1
        turns.blocked()
    assert asked == 1


keys = st.tuples(st.sampled_from("ab"), st.sampled_from("123456"))
entries = st.tuples(keys, st.integers(0, 2), st.sampled_from([SMALL, BIG]), st.integers(0, 5))


@given(st.dictionaries(keys, entries.map(lambda each: each[1:])), st.sets(keys))
def test_everybody_who_waits_has_a_turn_exactly_once(
    waiting: dict[TaskKey, tuple[int, Amounts, int]], removed: set[TaskKey]
) -> None:
    found = Queue()
    for key, (priority, need, submitted_ms) in waiting.items():
        found.add(key, priority=priority, demand=demand(need), submitted_ms=submitted_ms)
    for key in removed:
        found.remove(key)
    expected = sorted(task_id for submitter, task_id in waiting if (submitter, task_id) not in removed)
    assert sorted(order(found)) == expected
    assert (len(found), found.demands()) == (0, set())


def odd(count: int, priority: int) -> list[tuple[str, str, int, Amounts, int]]:
    """Tasks of one submitter that fit nowhere, and none of which is harder than another."""
    needs = [Amounts(cpu=10_000 + number, memory=10_000 - number) for number in range(count)]
    return [("hog", f"h{number}", priority, need, number) for number, need in enumerate(needs)]


def tried(found: Queue) -> list[str]:
    """Who is looked at in one round in which nothing fits but what is small."""
    turns, names = found.round(lambda submitter_id: (0.0, 0, 0)), []
    while (turn := turns.next()) is not None:
        names.append(turn[0][1])
        turns.blocked()
    return names


def test_nobody_fills_a_round_with_what_fits_nowhere() -> None:
    tasks = [
        *odd(LINES_OF_ONE, 5),
        *[("hog", f"x{n}", 3, *rest[3:]) for n, rest in enumerate(odd(9, 3))],
        ("few", "f", 0, SMALL, 99),
    ]
    names = tried(queue(*tasks))
    assert (len(names), names[-1]) == (LINES_OF_ONE + 1, "f")


def test_who_is_alone_tries_all_it_has() -> None:
    assert len(tried(queue(*odd(3 * LINES_OF_ONE, 0)))) == 3 * LINES_OF_ONE
