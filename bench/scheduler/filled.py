"""A store with devices and a stream of requests that nobody has read yet."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rpn.codec import pack_record
from rpn.events import Identity, Kind, Operation, pack_identity
from rpn.model import Requirements
from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer
from rpn.store.keys import Keys
from rpn.store.pool import WHOEVER, Guarded, PoolStore, new_tip
from rpn.store.records import RequestEntry
from tests.support.scheduling import packed, resources

GATEWAYS = 4
PART = 1000
"""what is written in one round trip"""
LEASE_MS = 3_600_000


class Filled(NamedTuple):
    """A pool that waits for its scheduler."""

    connection: Connection
    keys: Keys
    url: str
    server_pid: int
    requests: int


@asynccontextmanager
async def filled(*, devices: int, requests: int) -> AsyncIterator[Filled]:
    """A pool on a server of its own, which writes its log to disk before it answers."""
    with TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder))
        server.start()
        connection, keys = Connection(server.url), Keys("default")
        try:
            await _join(connection, keys, devices)
            await _ask(connection, keys, devices, requests)
            yield Filled(connection, keys, server.url, server.pid, requests)
        finally:
            await connection.close()
            server.stop()


def presence(number: int) -> str:
    return f"s{number} gateway{number % GATEWAYS}"


async def _join(connection: Connection, keys: Keys, devices: int) -> None:
    store, chance, numbers = PoolStore(connection, keys), random.Random(1), [0] * GATEWAYS
    for of in range(GATEWAYS):
        mine = range(of, devices, GATEWAYS)
        for start in range(0, len(mine) or 1, PART):
            batch = [Guarded(_joining(each, chance), WHOEVER, ()) for each in mine[start : start + PART]]
            numbers[of] += 1
            await store.apply(f"gateway{of}", numbers[of], batch, lease_ms=LEASE_MS, tip=new_tip())


def _joining(number: int, chance: random.Random) -> Operation:
    device_id, (session, gateway) = f"device-{number}", presence(number).split()
    identity = pack_identity(Identity(f"Device {number}", "linux", "10.0.0.1", {}, ["tasks"]))
    cores, gpu = chance.choice((4, 8, 16, 32, 64)), chance.random() < 0.2
    has = resources(cores=cores, memory=cores * 4096, storage=cores * 20_000, gpu=gpu)
    return Operation(Kind.JOIN, device_id, session, gateway, identity, packed(device_id, has))


async def _ask(connection: Connection, keys: Keys, devices: int, requests: int) -> None:
    chance = random.Random(2)
    for start in range(0, requests, PART):
        entries = [_request(number, devices, chance) for number in range(start, min(start + PART, requests))]
        await connection.commands([("XADD", keys.requests, "*", "e", pack_record(each)) for each in entries])


def _request(number: int, devices: int, chance: random.Random) -> RequestEntry:
    """So little that everything fits, also into a small pool."""
    of = chance.randrange(devices)
    need = Requirements(cpu=chance.choice((1, 2, 4)), memory=chance.choice((1, 4, 16)), storage=1)
    return RequestEntry(f"{number:08x}-allocation", f"device-{of}", presence(of), need)
