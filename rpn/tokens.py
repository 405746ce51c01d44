"""What a token looks like: `rpn_KIND_ID_SECRET`. The store knows its digest alone."""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum
from typing import NamedTuple

from rpn.errors import Unauthorized

TICKET_PREFIX = "rpn.ticket."
"""how a ticket begins; it may stand among a WebSocket's subprotocols"""
ID_BYTES, SECRET_BYTES = 6, 32


class TokenKind(StrEnum):
    """What its bearer is to the pool; gateway/roles.py says what each may do."""

    JOIN = "join"
    """lets a machine become a device, once or a few times"""
    DEVICE = "device"
    SUBMITTER = "submitter"
    OBSERVER = "observer"
    ADMIN = "admin"
    METRICS = "metrics"


_TOKEN = re.compile(
    rf"rpn_({'|'.join(TokenKind)})_([0-9a-f]{{{2 * ID_BYTES}}})_([0-9a-f]{{{2 * SECRET_BYTES}}})"
)
_TICKET = re.compile(re.escape(TICKET_PREFIX) + "[0-9a-f]+")


class Token(NamedTuple):
    """A token taken apart; `text` is the whole of it and stays where it is needed."""

    kind: TokenKind
    id: str
    text: str

    @property
    def digest(self) -> bytes:
        """What the store keeps of it: the secret is random, so a plain hash is enough."""
        return hashlib.sha256(self.text.encode()).digest()

    def __repr__(self) -> str:
        return f"<{self.kind} token {self.id}>"


def make_token(kind: TokenKind) -> Token:
    """A new one, of the system's best chance."""
    id_ = secrets.token_hex(ID_BYTES)
    return Token(kind, id_, f"rpn_{kind}_{id_}_{secrets.token_hex(SECRET_BYTES)}")


def parse_token(text: str) -> Token:
    """Take a token apart. Raises Unauthorized if it is none."""
    found = _TOKEN.fullmatch(text.strip())
    if found is None:
        raise Unauthorized("this is no token of ours")
    return Token(TokenKind(found[1]), found[2], found[0])


def without_tokens(text: str) -> str:
    """`text` with the secret of every token and ticket in it left out: for whatever is written down."""
    return _TICKET.sub(rf"{TICKET_PREFIX}...", _TOKEN.sub(r"rpn_\1_\2_...", text)) if "rpn" in text else text
