"""The promises of rpn.store.blobs: whole or not there, within the quota, gone when nobody uses them."""

from __future__ import annotations

import hashlib

import pytest

from rpn.errors import BlobQuota, StoreUnavailable
from rpn.store.blobs import PIECE_KIB, UPLOAD_PAUSE_S, Blobs
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from tests.store.conftest import Forgetful

PIECE = PIECE_KIB * 1024
TTL_S = 600.0


@pytest.fixture
def blobs(connection: Connection, keys: Keys) -> Blobs:
    return Blobs(connection, keys, ttl_s=TTL_S, quota_mib=1)


async def put(blobs: Blobs, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    upload = blobs.upload()
    for start in range(0, max(1, len(content)), PIECE):
        await upload.write(content[start : start + PIECE])
    await upload.commit(sha256)
    return sha256


async def content_of(blobs: Blobs, sha256: str) -> bytes | None:
    size = await blobs.touch(sha256)
    return None if size is None else b"".join([piece async for piece in blobs.read(sha256, size)])


async def held_bytes(connection: Connection, keys: Keys) -> int:
    return int(await connection.command("HGET", keys.blob_sizes, "total") or 0)


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
async def test_a_blob_comes_back_as_it_went_in(blobs: Blobs, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    assert await content_of(blobs, await put(blobs, content[:size])) == content[:size]


@pytest.mark.parametrize("size", [0, PIECE])
async def test_what_is_there_may_come_again(
    blobs: Blobs, connection: Connection, keys: Keys, size: int
) -> None:
    for _ in range(2):
        await put(blobs, b"x" * size)
        assert await held_bytes(connection, keys) == size


async def test_an_upload_may_be_dropped_twice(blobs: Blobs, connection: Connection, keys: Keys) -> None:
    upload = blobs.upload()
    await upload.write(b"x")
    for _ in range(2):
        await upload.drop()
        assert await held_bytes(connection, keys) == 0


async def test_what_is_not_there_has_no_size(blobs: Blobs) -> None:
    assert await blobs.touch("0" * 64) is None


async def test_the_same_content_is_kept_and_counted_once(
    blobs: Blobs, connection: Connection, keys: Keys
) -> None:
    sha256 = await put(blobs, b"x" * 1000)
    assert await put(blobs, b"x" * 1000) == sha256
    assert await held_bytes(connection, keys) == 1000


async def test_the_pool_holds_no_more_than_its_quota(
    blobs: Blobs, connection: Connection, keys: Keys
) -> None:
    await put(blobs, b"x" * (PIECE * 3))
    upload = blobs.upload()
    await upload.write(b"y" * PIECE)
    with pytest.raises(BlobQuota, match="RPN_BLOB_QUOTA_MIB"):
        await upload.write(b"y")
    await upload.drop()
    assert await held_bytes(connection, keys) == PIECE * 3


async def test_what_expired_makes_room(blobs: Blobs, connection: Connection, keys: Keys) -> None:
    sha256 = await put(blobs, b"x" * (PIECE * 4 - 1))
    await connection.commands([("DEL", keys.blob(sha256)), ("ZADD", keys.blob_ends, 1, sha256)])
    await put(blobs, b"y" * PIECE)
    assert await held_bytes(connection, keys) == PIECE


async def test_an_upload_that_lost_a_piece_is_no_blob(
    blobs: Blobs, connection: Connection, keys: Keys
) -> None:
    upload = blobs.upload()
    await upload.write(b"x" * PIECE)
    [name] = await connection.command("KEYS", keys.blob("upload:*"))
    await connection.command("DEL", name)
    await upload.write(b"x")
    with pytest.raises(StoreUnavailable):
        await upload.commit("0" * 64)
    assert await blobs.touch("0" * 64) is None


async def test_use_keeps_it_and_an_upload_that_stops_is_forgotten(
    blobs: Blobs, connection: Connection, keys: Keys
) -> None:
    upload = blobs.upload()
    await upload.write(b"x")
    [name] = await connection.command("KEYS", keys.blob("upload:*"))
    assert 0 < await connection.command("PTTL", name) <= UPLOAD_PAUSE_S * 1000
    sha256 = await put(blobs, b"used")
    await connection.command("PEXPIRE", keys.blob(sha256), 5000)
    await blobs.touch(sha256)
    assert await connection.command("PTTL", keys.blob(sha256)) > 5000
    await upload.drop()
    assert await connection.command("KEYS", keys.blob("upload:*")) == []


async def test_lost_replies_change_nothing(forgetful: Forgetful, keys: Keys) -> None:
    blobs = Blobs(forgetful, keys, ttl_s=TTL_S, quota_mib=1)
    upload = blobs.upload()
    forgetful.lost_next = 1
    await upload.write(b"x" * 100)
    forgetful.lost_next = 1
    await upload.commit("a" * 64)
    assert await held_bytes(forgetful, keys) == 100
    assert await content_of(blobs, "a" * 64) == b"x" * 100
