"""A scheduler over a store in memory that skips as the real one does."""

from __future__ import annotations

import pytest

from tests.support.leadership import Leadership, small_pool
from tests.support.scheduling import FakeStore


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def leads(store: FakeStore) -> Leadership:
    """Who decides on what stands in `store`, in a pool of a few devices."""
    return small_pool(store)
