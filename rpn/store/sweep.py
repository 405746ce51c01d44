"""Remove the dead from the pool. Everybody sweeps: every gateway and every scheduler, each second."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Any

from rpn.codec import pack
from rpn.errors import StoreUnavailable
from rpn.events import Kind, Operation, pack_operations
from rpn.settings import StoreSettings
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.pool import new_tip
from rpn.store.scripts import Script

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 1.0
AWAY_MS = 3000
"""no sweep for this long means that the server was away"""
AMNESTY_MS = 10_000
"""nobody is removed for this long after it was"""

_SEEN, _LOST, _GATEWAYS = 5, 6, 7
"""which key of sweep_remove condemned a device"""


class Sweeper:
    """Finds and removes dead gateways and devices of one pool; safe to run anywhere, any number of times."""

    def __init__(self, connection: Connection, keys: Keys, settings: StoreSettings) -> None:
        self._keys = keys
        self._publish = connection.publish
        self._find = Script(connection, "sweep_find")
        self._remove = Script(connection, "pool_tell", "sweep_remove")
        self._grace_ms = int(settings.reconnect_grace_s * 1000)
        self._silence_ms = int((settings.silence_limit_s + settings.gateway_lease_s) * 1000)
        self._swept = asyncio.Event()

    async def swept(self) -> None:
        """Return after our first round: the store has noticed by then if it was started again.

        Whoever it forgets because of that (sweep_find.lua) came before.
        """
        await self._swept.wait()

    async def run(self) -> None:
        """Sweep for ever, at moments of one's own."""
        while True:
            try:
                await self.sweep()
                self._swept.set()
            except StoreUnavailable as error:
                log.debug("not swept: %s", error)
            await asyncio.sleep(SWEEP_EVERY_S * random.uniform(0.7, 1.3))

    async def sweep(self) -> int:
        """One round; answers how many devices it removed or marked as lost."""
        k = self._keys
        _, gateways, orphans, lost, silent = await self._find.run(
            [k.meta, k.sessions, k.seen, k.lost, k.gateways, k.batches],
            [AWAY_MS, AMNESTY_MS, self._grace_ms, self._silence_ms],
        )
        dead = {name.decode(): end for name, end in _tuples(gateways, 2)}
        operations, guards = self._condemned(dead, orphans, lost, silent)
        if not dead and not operations:
            return 0
        self._tell(dead, orphans)
        keys = [k.meta, k.sessions, k.devices, k.resources, k.seen, k.lost, k.gateways, k.batches]
        keys += [k.mailbox(gateway) for gateway in dead]
        args = [k.events, new_tip(), pack_operations(operations), pack(guards), pack(list(dead.items()))]
        args.append(self._publish)
        return int(await self._remove.run(keys, args))

    def _tell(self, dead: Iterable[str], orphans: list[bytes]) -> None:
        """A gateway that ended in good order has left nobody behind."""
        bereft = {presence.decode().partition(" ")[2] for _, presence in _tuples(orphans, 2)}
        for gateway in dead:
            if gateway in bereft:
                text = "gateway %s has not renewed its lease: its devices have %d ms to come back"
                log.warning(text, gateway, self._grace_ms)
            else:
                log.info("gateway %s is gone", gateway)

    def _condemned(
        self, dead: dict[str, bytes], orphans: list[bytes], lost: list[bytes], silent: list[bytes]
    ) -> tuple[list[Operation], list[tuple[Any, ...]]]:
        """What to do about each, and what must still be true then; one operation a device."""
        operations: dict[str, Operation] = {}
        guards: dict[str, tuple[Any, ...]] = {}

        def condemn(kind: Kind, device: bytes, presence: bytes, reason: str, *guard: Any) -> None:
            device_id = device.decode()
            session = presence.decode().partition(" ")[0]
            operations[device_id] = Operation(kind, device_id, session, reason=reason)
            guards[device_id] = (presence, *guard)

        for device, presence in _tuples(orphans, 2):
            gateway = presence.decode().partition(" ")[2]
            condemn(Kind.LOSE, device, presence, "", _GATEWAYS, gateway, dead[gateway])
        for device, presence, score in _tuples(silent, 3):
            condemn(Kind.LEAVE, device, presence, "silent", _SEEN, device, score)
        for device, presence, score in _tuples(lost, 3):
            condemn(Kind.LEAVE, device, presence, "cut", _LOST, device, score)
        return list(operations.values()), [guards[device_id] for device_id in operations]


def _tuples(flat: list[bytes], size: int) -> list[tuple[bytes, ...]]:
    return list(zip(*[iter(flat)] * size, strict=True))
