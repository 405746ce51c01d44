"""The pool's tokens as this gateway knows them: asked for at every door, read again when they change."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable

from gateway.bearers import Bearer
from rpn.errors import StoreUnavailable
from rpn.store.tokens import TokenRecord, Tokens, TokenStore
from rpn.tokens import Token

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.4
"""A revoked token's sockets are closed within a second of it."""
LOOK_AGAIN_S = 0.05
"""between two looks that tokens we do not know may cause"""
_NOBODYS = b"\x00" * 32


class Keyring:
    """Every token of the pool by id; `on_change` is called when it is another set than before."""

    def __init__(self, store: TokenStore, *, now_ms: Callable[[], int]) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.loaded = False
        self._store = store
        self._now_ms = now_ms
        self._tokens: dict[str, TokenRecord] = {}
        self._speaks_for: dict[str, str] = {}
        self._revision = -1
        self._looking = asyncio.Lock()
        self._looked_s = 0.0

    def records(self) -> list[TokenRecord]:
        return sorted(self._tokens.values(), key=lambda record: record.created_ms)

    def get(self, token_id: str) -> TokenRecord | None:
        return self._tokens.get(token_id)

    def bearer(self, token: Token) -> Bearer | None:
        """Who bears this token; None if nobody does. How long that takes does not tell why."""
        record = self._tokens.get(token.id)
        if not self._is(token, record) or record is None:
            return None
        return Bearer(record)

    def _is(self, token: Token, record: TokenRecord | None) -> bool:
        same = hmac.compare_digest(token.digest, record.digest if record is not None else _NOBODYS)
        return same and record is not None and not record.expired(self._now_ms())

    def good(self, bearer: Bearer) -> bool:
        """Whether a connection that this bearer opened may stay."""
        if bearer.record is None:
            return True
        record = self._tokens.get(bearer.id)
        return record is not None and not record.expired(self._now_ms())

    def owner_of(self, device_id: str) -> str:
        """The token that alone speaks for a device; empty if none does."""
        return self._speaks_for.get(device_id, "")

    async def refresh(self) -> None:
        """Read them now. Raises StoreUnavailable."""
        self._take(await self._store.all())

    async def catch_up(self) -> None:
        """Read them if they have changed. Raises StoreUnavailable."""
        if not self.loaded or await self._store.revision() != self._revision:
            await self.refresh()

    async def look_again(self, came_s: float) -> None:
        """Somebody showed a token, at this time, that may have been made a moment ago, at another gateway.

        Many who guess make one look at a time: whoever comes during it waits for the next.
        """
        loop = asyncio.get_running_loop()
        if self._looked_s > came_s and not self._looking.locked():
            return
        async with self._looking:
            if self._looked_s > came_s:
                return  # one that began since has told us
            await asyncio.sleep(max(0.0, self._looked_s + LOOK_AGAIN_S - loop.time()))
            self._looked_s = loop.time()
            await self.catch_up()

    async def run(self) -> None:
        """Keep them as the store has them."""
        while True:
            try:
                await self.catch_up()
            except StoreUnavailable as error:
                log.debug("cannot read the tokens: %s", error)
            self.on_change()  # time alone ends some
            await asyncio.sleep(LOOK_EVERY_S)

    def _take(self, tokens: Tokens) -> None:
        self._revision = tokens.revision
        self._tokens = {record.id: record for record in tokens.records}
        self._speaks_for = {record.device_id: record.id for record in tokens.records if record.device_id}
        self.loaded = True
