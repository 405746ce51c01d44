"""Tickets: what a browser shows instead of a token, good for one use and a short time."""

from __future__ import annotations

import hashlib
import secrets

from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.tokens import TICKET_PREFIX

SECRET_BYTES = 24


class Tickets:
    """The tickets of one pool; the store knows their digests alone."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def issue(self, token_id: str, *, lasts_s: float) -> str:
        """A new ticket that stands for this token. Raises StoreUnavailable."""
        ticket = TICKET_PREFIX + secrets.token_hex(SECRET_BYTES)
        await self._connection.command("SET", self._key(ticket), token_id, "PX", int(lasts_s * 1000))
        return ticket

    async def redeem(self, ticket: str) -> str:
        """The token it stood for, once; empty if it is not known (any more). Raises StoreUnavailable."""
        found = await self._connection.command("GETDEL", self._key(ticket))
        return found.decode() if found else ""

    def _key(self, ticket: str) -> str:
        return self._keys.ticket(hashlib.sha256(ticket.encode()).hexdigest())
