"""Takes a pool's data out of the store and puts them back: `python -P -m rpn.store.backup save|restore FILE`.

Both are one step for the store. What is restored is staged beside the pool first, under keys that
expire by themselves, and takes its place only when all of it is there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rpn import __version__
from rpn.codec import pack
from rpn.errors import BackupFailed, RPNError
from rpn.settings import StoreSettings, load
from rpn.store import archive as archives
from rpn.store.archive import Archive, Kept
from rpn.store.connection import Connection, Dedicated
from rpn.store.format import FORMAT, check_format
from rpn.store.keys import Keys
from rpn.store.scripts import source

STEP_LIMIT_S = 120.0
"""how long the store may take for a step that touches the whole pool"""
STAGED = "staged:"
STAGED_MS = 600_000
"""how long a restore that was broken off leaves something behind"""
PASSING = ("lease", "rate:", "request:", "mailbox:", "blob", STAGED)
"""what a restored pool has no use for: who leads, who asked how often, what a gateway had to deliver;
and blobs, which may be many times larger than all the rest: whoever made one can send it again"""
TOGETHER = 500
"""commands in one round trip"""
CHUNK = 1000
"""words of one command while staging"""


async def save(connection: Connection, pool: str, path: Path) -> str:
    """Write all of a pool into a file; it may go on working. Raises RPNError."""
    keys = Keys(pool)
    async with connection.dedicated() as link:
        found = await _run(link, "pool_dump", keys, *PASSING)
    if not found:
        raise BackupFailed(f"there is no pool {pool} on this server")
    kept = [Kept(name.decode(), kind.decode(), ttl, value) for name, kind, ttl, value in found]
    meta: list[bytes] = next((key.value for key in kept if key.name == "meta"), [])
    stated = dict(zip(meta[::2], meta[1::2], strict=True)).get(b"format", str(FORMAT).encode()).decode()
    size = archives.write(path, Archive(stated, __version__, pool, int(time.time() * 1000), kept))
    return f"saved pool {pool}: {len(kept)} keys, {size:,} bytes in {path}"


async def restore(connection: Connection, pool: str, path: Path, *, force: bool) -> str:
    """Let a pool be what it was when the file was written. Raises RPNError, and then nothing has changed."""
    keys, archive = Keys(pool), archives.read(path)
    check_format(archive.format)
    async with connection.dedicated() as link:
        if not force:
            await _check_idle(link, keys)
        kept = [key for key in archive.keys if key.value]  # an empty stream is one that is not there
        await _send_all(link, _staging(kept, keys.prefix + STAGED))
        names = pack([(key.name, key.ttl_ms or 1) for key in kept])
        if not await _run(link, "pool_replace", keys, keys.prefix + STAGED, names):
            raise BackupFailed("the restore took too long, and nothing was changed: try again")
    return f"restored pool {pool}: {len(kept)} keys, from version {archive.version}"


async def _check_idle(link: Dedicated, keys: Keys) -> None:
    """Raise BackupFailed if somebody works with the pool, or it holds anything at all."""
    seconds, micros = await link.command("TIME", limit_s=STEP_LIMIT_S)
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    alive = await link.command("ZCOUNT", keys.gateways, now_ms, "+inf", limit_s=STEP_LIMIT_S)
    if alive or await link.command("EXISTS", keys.lease, limit_s=STEP_LIMIT_S):
        raise BackupFailed(
            "the pool is running: stop its gateways and schedulers first, or replace what it holds by --force"
        )
    if await link.command("EXISTS", keys.open, keys.allocations, keys.devices, limit_s=STEP_LIMIT_S):
        raise BackupFailed("the pool is not empty: --force replaces what it holds")


def _staging(kept: list[Kept], prefix: str) -> Iterator[tuple[Any, ...]]:
    """The commands that write all keys beside the pool, to vanish by themselves unless renamed."""
    for key in kept:
        name = prefix + key.name
        yield ("DEL", name)
        match key.kind:
            case "string":
                yield ("SET", name, key.value)
            case "hash":
                for start in range(0, len(key.value), CHUNK):
                    yield ("HSET", name, *key.value[start : start + CHUNK])
            case "zset":
                for start in range(0, len(key.value), CHUNK):
                    yield ("ZADD", name, *reversed(key.value[start : start + CHUNK]))
            case _:
                for entry_id, fields in key.value:
                    yield ("XADD", name, entry_id, *fields)
        yield ("PEXPIRE", name, STAGED_MS)


async def _send_all(link: Dedicated, commands: Iterator[tuple[Any, ...]]) -> None:
    """Many in one round trip: the server may have to reach its disk before it answers one."""
    while batch := list(islice(commands, TOGETHER)):
        for words in batch:
            await link.send(*words)
        for _ in batch:
            await link.receive(limit_s=STEP_LIMIT_S)


async def _run(link: Dedicated, script: str, keys: Keys, *args: Any) -> Any:
    words = ("EVAL", source(script), 1, keys.meta, keys.prefix, *args)
    return await link.command(*words, limit_s=STEP_LIMIT_S)


async def _main(what: str, path: Path, *, force: bool) -> str:
    settings = load(StoreSettings, os.environ)
    connection = Connection(settings.redis_url, pool=settings.pool)
    try:
        if what == "save":
            return await save(connection, settings.pool, path)
        return await restore(connection, settings.pool, path, force=force)
    finally:
        await connection.close()


def main(arguments: list[str]) -> int:
    """`save FILE` or `restore FILE [--force]`; the exit status."""
    try:
        done = asyncio.run(_main(arguments[0], Path(arguments[1]), force="--force" in arguments[2:]))
        print(done, file=sys.stderr if arguments[:2] == ["save", "-"] else sys.stdout)
    except RPNError as error:
        print(f"rpn: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
