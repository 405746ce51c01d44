"""A real Valkey, and pools on it that have been up for a while."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rpn.store.embedded import EmbeddedServer
from tests.support.amnesty import end_amnesty
from tests.support.gateways import Pool, gateways
from tests.support.guarded import ADMIN, Guarded

Opened = Callable[..., AbstractAsyncContextManager[Pool]]
"""Opens a pool: `async with pool_of(count, **settings) as pool`."""
Locked = Callable[..., AbstractAsyncContextManager[Guarded]]
"""The same of a pool that asks for tokens."""

_names = (f"e2e-{number}" for number in itertools.count(1))


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for all tests that do not stop it."""
    with EmbeddedServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that the test may stop and start again."""
    server = EmbeddedServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pool_of(valkey: EmbeddedServer) -> Opened:
    @asynccontextmanager
    async def opened(count: int = 2, **settings: Any) -> AsyncIterator[Pool]:
        name = next(_names)
        end_amnesty(valkey.url, name)
        async with gateways(valkey.url, name, count=count, **settings) as pool:
            yield pool

    return opened


@pytest.fixture
def guarded(pool_of: Opened) -> Locked:
    @asynccontextmanager
    async def opened(count: int = 1, **settings: Any) -> AsyncIterator[Guarded]:
        async with pool_of(count, auth="token", seed_tokens=f"{ADMIN}\n", **settings) as pool:
            yield Guarded(pool)

    return opened
