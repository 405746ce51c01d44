"""When a measurement is worth a message."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.reporter import is_worth_telling
from rpn.messages import ResourceUpdate
from rpn.model import PoolUsage, Resources

QUIET = Resources(10, 90, 4, 2000, 6000, 8000, 100_000, 900_000, 1_000_000, has_gpu=True, gpu_usage=0.0)


def update(pool_usage: PoolUsage | None = None, **changed: Any) -> ResourceUpdate:
    resources = msgspec.structs.replace(QUIET, **changed)
    return ResourceUpdate(device_id="d", resources=resources, pool_usage=pool_usage)


@pytest.mark.parametrize(
    "changed",
    [
        {"cpu_usage": 15},
        {"memory_available": 5900},
        {"storage_available": 880_000},
        {"has_gpu": False},
        {"gpu_name": "new"},
        {"gpu_usage": None},
        {"gpu_usage": 10.0},
        {"cpu_cores": 8},
        {"pool_usage": PoolUsage()},
    ],
)
def test_a_real_change_is(changed: dict[str, Any]) -> None:
    assert is_worth_telling(update(), update(**changed))


@pytest.mark.parametrize(
    "changed",
    [{}, {"cpu_usage": 14}, {"memory_available": 5950}, {"storage_available": 899_000}, {"gpu_usage": 4.0}],
)
def test_noise_is_not(changed: dict[str, Any]) -> None:
    assert not is_worth_telling(update(), update(**changed))


def test_the_first_always_is() -> None:
    assert is_worth_telling(None, update())


def test_work_that_grows_is() -> None:
    before = update(PoolUsage(cpu=100, memory=500))
    assert is_worth_telling(before, update(PoolUsage(cpu=200, memory=500)))
    assert is_worth_telling(before, update(PoolUsage(cpu=100, memory=600)))
    assert not is_worth_telling(before, update(PoolUsage(cpu=101, memory=501)))
