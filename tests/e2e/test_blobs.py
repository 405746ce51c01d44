"""`/api/blobs` on real gateways: what comes in on one comes out on another, whole, or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.e2e.conftest import Opened

MIB = 2**20


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Shop:
    """Two gateways of one pool."""

    def __init__(self, urls: list[str], http: httpx.AsyncClient) -> None:
        self.urls, self.http = urls, http

    async def put(self, name: str, content: bytes, gateway: int = 0) -> httpx.Response:
        return await self.http.put(f"{self.urls[gateway]}/api/blobs/{name}", content=content)

    async def get(self, name: str, gateway: int = 1, method: str = "GET") -> httpx.Response:
        return await self.http.request(method, f"{self.urls[gateway]}/api/blobs/{name}")


@pytest.fixture
async def shop(pool_of: Opened) -> AsyncIterator[Shop]:
    settings = {"blob_limit_mib": 2, "blob_quota_mib": 3, "rest_rate_limit": 2, "blob_rate_limit": 30}
    async with pool_of(2, **settings) as pool, httpx.AsyncClient(trust_env=False) as http:
        yield Shop([gateway.url for gateway in pool.gateways], http)


async def test_what_came_in_here_goes_out_there(shop: Shop) -> None:
    for size in (0, 5, 256 * 1024, MIB + 7):
        content = os.urandom(size)
        made = await shop.put(digest(content), content)
        assert (made.status_code, made.json()) == (201, {"blob": digest(content), "size": size})
        got = await shop.get(digest(content))
        assert (got.status_code, got.content) == (200, content)
        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert (await shop.put(digest(content), content)).status_code == 200
        head = await shop.get(digest(content), method="HEAD")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


REFUSALS = [
    ("0" * 64, b"something else", 409, "BLOB_MISMATCH"),
    (digest(b"x" * 3 * MIB), b"x" * 3 * MIB, 413, "BLOB_TOO_LARGE"),
    ("0" * 63, b"", 400, "BAD_MESSAGE"),
    ("A" * 64, b"", 400, "BAD_MESSAGE"),
    ("..%2f..", b"", 404, "NOT_FOUND"),
]


async def test_what_is_refused_leaves_nothing(shop: Shop) -> None:
    for name, content, status, code in REFUSALS:
        refused = await shop.put(name, content)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert (await shop.get("0" * 64)).status_code == 404


async def test_a_body_of_unknown_length_is_cut_at_the_limit(shop: Shop) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    refused = await shop.http.put(f"{shop.urls[0]}/api/blobs/{'0' * 64}", content=endless())
    assert (refused.status_code, refused.json()["code"]) == (413, "BLOB_TOO_LARGE")


async def test_the_quota_is_the_pools(shop: Shop) -> None:
    first, second = os.urandom(2 * MIB), os.urandom(2 * MIB)
    assert (await shop.put(digest(first), first, gateway=0)).status_code == 201
    refused = await shop.put(digest(second), second, gateway=1)
    assert (refused.status_code, refused.json()["code"]) == (507, "BLOB_QUOTA")
    small = os.urandom(MIB // 2)
    assert (await shop.put(digest(small), small)).status_code == 201  # what was refused takes no room


async def test_blobs_have_a_limit_of_their_own(shop: Shop) -> None:
    statuses = [(await shop.get("0" * 64)).status_code for _ in range(31)]
    assert statuses == [404] * 30 + [429]
    assert (await shop.http.get(f"{shop.urls[0]}/api/stats")).status_code == 200
