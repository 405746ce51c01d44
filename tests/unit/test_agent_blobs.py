"""Blobs as the agent has them: fetched once, whole, from whoever has them; kept within bounds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent import blob_cache
from agent.blob_cache import BlobCache
from rpn.client.blobs import Gateway
from rpn.errors import BlobMismatch, BlobQuota, NotFound
from tests.support.blob_double import BlobDouble, blob_double


@pytest.fixture
async def double() -> AsyncIterator[BlobDouble]:
    async with blob_double() as made:
        yield made


@pytest.fixture
def cache(tmp_path: Path, double: BlobDouble, monkeypatch: pytest.MonkeyPatch) -> BlobCache:
    monkeypatch.setattr(blob_cache, "PAUSE_S", 0.001)
    return BlobCache(tmp_path / "blobs", lambda: double.gateway)


async def test_a_blob_is_fetched_once_however_many_want_it(
    cache: BlobCache, double: BlobDouble, tmp_path: Path
) -> None:
    content = os.urandom(200_000)
    sha256 = double.add(content)
    assert await asyncio.gather(*(cache.read(sha256) for _ in range(5))) == [content] * 5
    await cache.copy(sha256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert double.asked == ["GET"]


async def test_what_is_nowhere_is_not_found(cache: BlobCache) -> None:
    with pytest.raises(NotFound):
        await cache.read("0" * 64)


async def test_another_content_is_not_believed(cache: BlobCache, double: BlobDouble, tmp_path: Path) -> None:
    double.blobs["0" * 64] = b"something else"
    with pytest.raises(BlobMismatch):
        await cache.read("0" * 64)
    assert list((tmp_path / "blobs").iterdir()) == []


async def test_what_the_gateway_cannot_do_now_is_tried_again(cache: BlobCache, double: BlobDouble) -> None:
    sha256 = double.add(b"content")
    double.refusals = [(503, "STORE_UNAVAILABLE"), (429, "RATE_LIMITED")]
    assert await cache.read(sha256) == b"content"


async def test_what_it_will_never_do_is_told(cache: BlobCache, double: BlobDouble) -> None:
    double.refusals = [(404, "NOT_FOUND"), (507, "BLOB_QUOTA")]
    with pytest.raises(BlobQuota):
        await cache.send(b"content")


async def test_what_is_there_already_is_not_sent_again(cache: BlobCache, double: BlobDouble) -> None:
    first = await cache.send(b"content")
    assert await cache.send(b"content") == first == (double.add(b"content"), 7)
    assert double.asked == ["HEAD", "PUT", "HEAD"]


async def test_without_a_gateway_it_waits_for_one(double: BlobDouble, tmp_path: Path) -> None:
    gateways = iter([Gateway(""), Gateway("ws://127.0.0.1:1/ws"), double.gateway])
    cache = BlobCache(tmp_path / "blobs", lambda: next(gateways))
    assert await cache.read(double.add(b"late")) == b"late"


async def test_what_was_not_used_for_longest_makes_room(
    cache: BlobCache, double: BlobDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_cache, "CACHE_LIMIT_MIB", 1)
    old, used, new = (double.add(os.urandom(400_000)) for _ in range(3))
    for sha256 in (old, used):
        await cache.read(sha256)
        os.utime(tmp_path / "blobs" / sha256, (1, 1 if sha256 == old else 2))
    await cache.read(new)
    assert {path.name for path in (tmp_path / "blobs").iterdir()} == {used, new}
