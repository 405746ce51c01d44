"""A gateway dies in the middle of a `map`: every result arrives, once, and its caller need do nothing."""

from __future__ import annotations

import concurrent.futures
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rpn
from tests.support.cluster import Cluster, running

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # agents do not have our tests

pytestmark = pytest.mark.chaos

CALLS = 500
KILLED_AFTER = (60, 250)
"""results"""


@pytest.fixture(params=[1, 2], ids=["one-gateway", "two-gateways"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "data", gateways=request.param, RPN_ALLOW_PYTHON="yes") as cluster:
        yield cluster


def square(number: int) -> int:
    return number * number


@pytest.mark.timeout(180)
def test_a_map_survives_its_gateway(cluster: Cluster) -> None:
    found = []
    with rpn.Executor(",".join(cluster.urls)) as executor:
        for result in executor.map(square, range(CALLS), timeout=150):
            found.append(result)
            if len(found) in KILLED_AFTER:
                cluster.kill("gateway")
    assert found == [number * number for number in range(CALLS)]


@pytest.mark.timeout(180)
def test_what_was_submitted_survives_its_gateway(cluster: Cluster) -> None:
    with rpn.Pool(",".join(cluster.urls)) as pool:
        futures = [pool.submit("echo", number) for number in range(CALLS)]
        done = []
        for future in concurrent.futures.as_completed(futures, timeout=150):
            done.append(future.result())
            if len(done) in KILLED_AFTER:
                cluster.kill("gateway")
    assert sorted(done) == list(range(CALLS))
