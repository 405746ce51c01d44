"""Knows which data this version can read, and refuses all others before anything is written.

The number grows only when a version of before could not work with the data any more; whatever can be
added out of its way (a field at the end of a record, an entry it leaves alone) needs no new number.
"""

from __future__ import annotations

import asyncio
import logging

from rpn.errors import StoreFormatError, StoreUnavailable
from rpn.store.connection import Connection
from rpn.store.keys import Keys

log = logging.getLogger(__name__)

FORMAT = 1
FIRST_RETRY_S, RETRY_LIMIT_S = 0.02, 1.0
"""between two questions while there is no answer; when it has come to the second, we say what we wait for"""


class Format:
    """Asks a pool once in which format its data are; a pool that is new gets ours."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._asking = asyncio.Lock()
        self._understood = False

    async def understood(self) -> None:
        """Return once we know that we may work with the data. Raises StoreFormatError: we may not."""
        async with self._asking:
            pause_s, told = FIRST_RETRY_S, False
            while not self._understood:
                try:
                    await self._ask()
                except StoreUnavailable as error:
                    if pause_s >= RETRY_LIMIT_S and not told:
                        told = True
                        log.warning("waiting for the pool's server: %s", error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, RETRY_LIMIT_S)
                else:
                    self._understood = True
            if told:
                log.info("the pool's server is there")

    async def _ask(self) -> None:
        meta = self._keys.meta
        await self._connection.command("HSETNX", meta, "format", FORMAT)
        check_format((await self._connection.command("HGET", meta, "format")).decode())


def check_format(found: str) -> None:
    """Raises StoreFormatError unless data of this format are ours to work with."""
    if found == str(FORMAT):
        return
    if not found.isdigit() or int(found) > FORMAT:
        raise StoreFormatError(
            f"the pool's data have format {found}, and this version knows {FORMAT}: a newer version "
            "wrote them. Run that version or a later one here; or choose an empty pool (RPN_POOL)"
        )
    raise StoreFormatError(
        f"the pool's data have format {found}, and this version needs {FORMAT}: let the version that wrote "
        "them finish its open tasks, stop it, and start this one with an empty pool (RPN_POOL)"
    )
