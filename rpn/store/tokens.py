"""The tokens of a pool: kept by their digest, spent, bound and revoked in one step each."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from rpn.codec import pack_record, unpack_record
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.scripts import Script
from rpn.tokens import TokenKind

NO_END = 0
ANY_NUMBER = -1
REVISION = "tokens"
"""field of `meta`"""
BOUND = "device:"
"""what the field is called that tells which token speaks for a device"""
ANYTHING = b"*"
Change = tuple[str, bytes, bytes]
"""field, what it must hold now, what it shall hold"""


class Quota(Struct, frozen=True, array_like=True):
    """What one token may take; 0 is as much as anybody."""

    messages_per_s: int = 0
    connections: int = 0
    open_tasks: int = 0
    """of all names under which it submits together"""
    share_percent: int = 0
    """of each dimension of the pool, what all that it asked for may hold at once"""


class TokenRecord(Struct, frozen=True, array_like=True):
    """One token as it stands in the store."""

    id: str
    kind: TokenKind
    digest: bytes
    """SHA-256 of the whole token"""
    name: str
    """what people call it"""
    created_ms: int
    expires_ms: int = NO_END
    uses_left: int = ANY_NUMBER
    """of a join token: how many machines may still join by it"""
    labels: dict[str, str] = {}
    """what a device that joins by it must carry"""
    device_id: str = ""
    """of a device token: the only device it speaks for; empty until the first that it registers"""
    public_key: bytes = b""
    """of a device token: Ed25519; who registers must prove that it has the other half"""
    quota: Quota = Quota()

    def expired(self, now_ms: int) -> bool:
        return self.expires_ms != NO_END and self.expires_ms <= now_ms


class Tokens(NamedTuple):
    """All of them, at one moment."""

    revision: int
    """grows with every change"""
    records: list[TokenRecord]


class TokenStore:
    """Reads and changes them; every change raises the revision that gateways watch."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._change = Script(connection, "tokens_change")

    async def revision(self) -> int:
        """What to ask often: whether anything has changed."""
        return int(await self._connection.command("HGET", self._keys.meta, REVISION) or 0)

    async def all(self) -> Tokens:
        """Every token, those that have expired included."""
        revision, found = await self._connection.commands(
            [("HGET", self._keys.meta, REVISION), ("HGETALL", self._keys.tokens)]
        )
        fields = zip(found[::2], found[1::2], strict=True) if isinstance(found, list) else found.items()
        packed = [value for name, value in fields if not name.startswith(BOUND.encode())]
        return Tokens(int(revision or 0), [unpack_record(TokenRecord, each) for each in packed])

    async def create(self, record: TokenRecord) -> bool:
        """Keep a token; False if its id is another's, or its device has one already."""
        return await self._changed(_born(record))

    async def revoke(self, record: TokenRecord) -> bool:
        """Forget a token; False if there is none."""
        changes = [(record.id, ANYTHING, b"")]
        if record.device_id:
            changes.append((BOUND + record.device_id, ANYTHING, b""))
        return await self._changed(changes)

    async def spend(self, join: TokenRecord, device: TokenRecord) -> bool:
        """Let a machine become `device` by a join token; False if that is spent, or the device has a token.

        The same once more is answered as the first time.
        """
        left = ANY_NUMBER if join.uses_left == ANY_NUMBER else join.uses_left - 1
        spent = pack_record(replace(join, uses_left=left)) if left else b""
        return await self._changed([(join.id, pack_record(join), spent), *_born(device)])

    async def bind(self, record: TokenRecord, device_id: str) -> bool:
        """From now on it speaks for this device alone; False if one of the two has another already."""
        bound = pack_record(replace(record, device_id=device_id))
        device = (BOUND + device_id, b"", record.id.encode())
        return await self._changed([(record.id, pack_record(record), bound), device])

    async def _changed(self, changes: list[Change]) -> bool:
        words: list[Any] = [word for change in changes for word in change]
        return bool(await self._change.run_until_known([self._keys.tokens, self._keys.meta], words))


def _born(record: TokenRecord) -> list[Change]:
    changes: list[Change] = [(record.id, b"", pack_record(record))]
    if record.device_id:
        changes.append((BOUND + record.device_id, b"", record.id.encode()))
    return changes
