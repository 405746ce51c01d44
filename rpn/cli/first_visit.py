"""The first visit to a pool that asks for tokens: a ticket that lets its owner's browser in, once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from rpn.errors import RPNError

TICKET_LASTS_S = 600
ANSWER_LIMIT_S = 5.0


def first_ticket(web: str, admin: Path) -> str:
    """A ticket for the bearer of the token in this file; empty if the gateway gives none.

    It stands behind the `#` of an address, which browsers never send, and is worth nothing once used.
    """
    from rpn.client.api import Api

    try:
        token = admin.read_text(encoding="utf-8").strip()
        with closing(Api(web, token=token, answer_limit_s=ANSWER_LIMIT_S)) as api:
            return str(api.post("api", "tickets", body={"lastsS": TICKET_LASTS_S})["ticket"])
    except (OSError, RPNError):
        return ""  # the welcome names the file with the token all the same
