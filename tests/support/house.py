"""A whole gateway between two fakes: sockets without a network, and a store without a server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from gateway.access import Access
from gateway.desk import Desk
from gateway.endpoint import Endpoint
from gateway.errands import Errands
from gateway.hub import Hub
from gateway.metrics import Counters
from gateway.peer import Peer
from gateway.relay import Relay
from gateway.uplink import Uplink
from gateway.watch import Watch
from gateway.wire import EXTENSION, Wire
from rpn.codec import encode
from rpn.events import Event
from rpn.messages import Message, Observe
from rpn.replica import Replica
from rpn.settings import GatewaySettings
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.pool import InboxItem, PoolStore
from rpn.store.requests import Requests
from rpn.store.scripts import source
from rpn.store.tasks import Tasks
from tests.support import make
from tests.support.pool import FakePoolStore
from tests.support.wire import FakeWire

SCRIPTS = {
    hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest(): name
    for name in ("request_enter", "task_submit", "task_report", "task_cancel")
}
KEYS = Keys("default")


class FakeConnection:
    """Answers scripts and commands as a test says; notes each round trip."""

    def __init__(self) -> None:
        self.trips: list[list[tuple[Any, ...]]] = []
        self.broken: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.replies: dict[str, Any] = {
            "request_enter": 1,
            "task_submit": [b"NEW"],
            "task_report": 1,
            "task_cancel": [b"OK"],
        }

    async def commands(self, batch: list[tuple[Any, ...]], *, lasting: bool = False) -> list[Any]:
        self.trips.append(batch)
        await self.open.wait()
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken
        return [self._reply(words) for words in batch]

    def _reply(self, words: tuple[Any, ...]) -> Any:
        reply = self.replies.get(name_of(words), 1)
        return [reply] * len(steps_in(words)) if name_of(words) in MANY else reply

    run = commands

    @property
    def steps(self) -> list[tuple[Any, ...]]:
        """Every script that was run: its name, then what follows the number of its keys."""
        return [step for trip in self.trips for step in steps_of(trip)]


MANY = {"request_enter": (2, 1, 4), "task_submit": (5, 2, 11), "task_report": (2, 0, 3)}
"""the scripts that take many: how many keys they have in common, and keys and arguments for each

Where the keys of the first step stand for all, every step is shown with them."""


def steps_in(words: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """What one command does: for each step the script's name, its keys, its arguments."""
    name, keys, args = name_of(words), words[3 : 3 + words[2]], words[3 + words[2] :]
    if name not in MANY:
        return [(name, *keys, *args)]
    common, own_keys, own_args = MANY[name]
    marks = keys[common : common + own_keys]
    return [
        (
            name,
            *keys[:common],
            *(keys[common + n * own_keys :][:own_keys] or marks),
            *args[n * own_args :][:own_args],
        )
        for n in range(len(args) // own_args)
    ]


def steps_of(trip: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [step for words in trip if words[0] == "EVALSHA" for step in steps_in(words)]


def name_of(words: tuple[Any, ...]) -> str:
    return SCRIPTS.get(words[1], "") if words[0] == "EVALSHA" else str(words[0])


class Client:
    """Somebody at the other end of a fake wire."""

    def __init__(self, house: House, subprotocols: Sequence[str] = ()) -> None:
        self.wire = FakeWire()
        self._house = house
        self._news: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._news.put_nowait({"type": "websocket.connect"})
        self.wire.on_close = lambda: self._news.put_nowait({"type": "websocket.disconnect"})
        scope = {"extensions": {EXTENSION: self.wire}, "client": ("127.0.0.1", 1)}
        scope["subprotocols"] = subprotocols
        self.task = house.group.create_task(house.endpoint(scope, self._news.get, self._send))

    async def _send(self, message: Any) -> None:
        assert message["type"] == "websocket.accept"

    def say(self, *messages: Message) -> None:
        """Each in a frame of its own."""
        for message in messages:
            self.say_raw(encode(message))

    def say_raw(self, data: bytes) -> None:
        assert self.wire.receiver is not None
        self.wire.receiver.on_text(data)

    def take(self, size: int | None = None) -> None:
        """Take what waits, or `size` bytes of it."""
        self.wire.buffered -= self.wire.buffered if size is None else size
        if self.wire.receiver is not None and self.wire.buffered <= self.wire.limit // 2:
            self.wire.receiver.on_writable()

    async def hang_up(self, *, clean: bool = True) -> None:
        """The socket ends: with a close frame, or cut."""
        self.wire.closed_by_peer, self.wire.disconnected = clean, True
        self._news.put_nowait({"type": "websocket.disconnect"})
        await self.task

    @property
    def peer(self) -> Peer:
        found = [each for each in self._house.hub.connected if cast("object", each.wire) is self.wire]
        return found[0]


class House:
    """One gateway; `group` holds what it does for ever."""

    def __init__(self, store: FakePoolStore, group: asyncio.TaskGroup, settings: GatewaySettings) -> None:
        self.group, self.store = group, store
        self.settings, self.counters = settings, Counters()
        self.connection = FakeConnection()
        connection = cast("Connection", self.connection)
        self.replica = Replica()
        self.hub = Hub(self.replica, self.counters)
        self.uplink = Uplink(
            cast("PoolStore", store), self.counters, lease_s=settings.gateway_lease_s, now_ms=store.now_ms
        )
        self.errands = Errands(connection, self.counters)
        self.relay = Relay(connection, KEYS, self.hub, self.uplink, self.errands)
        streets = (self.hub, self.uplink, self.errands, self.relay)
        self.access = Access(
            settings, connection, KEYS, self.hub, self.replica, self.counters, now_ms=store.now_ms
        )
        records = Requests(connection, KEYS), Tasks(connection, KEYS)
        self.desk = Desk(settings, *streets, self.access.registrar, *records)
        self.watch = Watch(settings, self.hub, self.uplink)
        self.endpoint = Endpoint(
            settings, self.desk, self.hub, self.uplink, self.counters, self.access.auditor
        )
        self.uplink.on_joined = self._on_joined
        self.uplink.on_resync = self._on_resync
        self.clients: list[Client] = []
        self.hears = True
        """False: what the store tells is lost"""
        store.listeners.append(self._hear)
        self.relay.on_changes(self.replica.load(store.model.snapshot()))

    def _on_joined(self, peer: Peer, inbox: list[InboxItem]) -> None:
        self.desk.joined(peer)
        self.relay.on_inbox(peer, inbox)

    def _on_resync(self) -> None:
        for peer in self.hub.peers.values():
            if peer.joined and not peer.gone:
                self.uplink.rejoin(peer)

    def _hear(self, event: Event) -> None:
        if self.hears:
            self.relay.on_changes(self.replica.apply(event))

    def reload(self) -> None:
        """Take a snapshot, as after a gap."""
        self.relay.on_changes(self.replica.load(self.store.model.snapshot()))

    async def connect(self, *, subprotocols: Sequence[str] = ()) -> Client:
        client = Client(self, subprotocols)
        self.clients.append(client)
        await asyncio.sleep(0)
        return client

    async def device(self, device_id: str = "a", **more: Any) -> Client:
        """Somebody who has registered and been let in."""
        client = await self.connect()
        client.say(make.register(device_id, **more))
        await settled()
        return client

    async def observer(self) -> Client:
        client = await self.connect()
        client.say(Observe())
        await settled()
        return client


def cpu_usages(client: Client, *, of: str = "a") -> list[float]:
    """What a client heard of one device's measurements."""
    updates = [each for each in client.wire.messages if each["type"] == "resource_update"]
    return [each["resources"]["cpuUsage"] for each in updates if each["deviceId"] == of]


async def settled() -> None:
    """Let everything happen that is under way; in virtual time, a moment long enough for a round."""
    await asyncio.sleep(0.2)


@asynccontextmanager
async def opened(store: FakePoolStore | None = None, **settings: Any) -> AsyncIterator[House]:
    """A gateway at work."""
    async with asyncio.TaskGroup() as group:
        house = House(store or FakePoolStore(), group, GatewaySettings(**settings))
        duties = [house.uplink.run, house.errands.run, house.relay.settle_receipts, house.watch.run]
        running = [group.create_task(duty()) for duty in duties]
        await asyncio.sleep(0)
        yield house
        for task in [*running, *(client.task for client in house.clients)]:
            task.cancel()


__all__ = ["KEYS", "Client", "FakeConnection", "House", "Wire", "cpu_usages", "opened", "settled"]
