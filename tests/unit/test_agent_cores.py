"""Which cores tasks get: as many as they asked for, evenly, and never more than the owner's share."""

from __future__ import annotations

import pytest

from agent.cores import Cores


@pytest.mark.parametrize(
    ("cpu", "share", "count"),
    [
        (None, None, 0),
        (50, None, 1),
        (100, None, 1),
        (101, None, 2),
        (900, None, 0),
        (None, 200, 2),
        (50, 200, 1),
        (900, 200, 2),
        (None, 0, 1),
    ],
)
def test_a_task_has_as_many_cores_as_its_cpu_says(cpu: float | None, share: float | None, count: int) -> None:
    assert len(Cores(range(4)).take(cpu, share)) == count


def test_tasks_are_spread_and_stay_within_the_share() -> None:
    cores = Cores(range(4))
    assert [cores.take(100, 200) for _ in range(4)] == [[0], [1], [0], [1]]
    cores.give_back([0])
    assert cores.take(100, None) == [2]
    assert cores.take(100, 200) == [0]


def test_where_nothing_is_pinned_nothing_is_asked() -> None:
    assert Cores([]).take(100, 50) == []
