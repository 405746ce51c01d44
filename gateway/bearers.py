"""Who asks: the bearer of a token, or everybody where no tokens are asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.types import Scope

from gateway.roles import EVERYBODY, MAY, SAYS, Action
from rpn.errors import Forbidden
from rpn.messages import FromClient
from rpn.store.tokens import TokenRecord

SCOPE_KEY = "rpn.bearer"
"""where a request's ASGI scope holds its bearer"""


class Bearer:
    """What somebody may do; `record` is the token's, None for everybody; `by_ticket`: not shown itself."""

    __slots__ = ("by_ticket", "may", "record", "says")

    def __init__(self, record: TokenRecord | None = None, *, by_ticket: bool = False) -> None:
        self.record = record
        self.by_ticket = by_ticket
        self.may = MAY[record.kind] if record is not None else EVERYBODY
        self.says = _says(self.may)

    @property
    def id(self) -> str:
        """The token's; empty for everybody."""
        return self.record.id if self.record is not None else ""

    @property
    def name(self) -> str:
        """Who that is, for an audit."""
        return (
            f"{self.record.kind} {self.record.id} {self.record.name}".rstrip() if self.record else "everybody"
        )

    def check(self, action: Action) -> None:
        """Raise Forbidden unless the bearer may do this."""
        if action not in self.may:
            why = f"this {self.record.kind} token may not" if self.record is not None else "none was given"
            raise Forbidden(f"this needs a token that may {action}; {why}")

    def check_message(self, kind: type[FromClient]) -> None:
        """Raise Forbidden unless the bearer may say this."""
        self.check(SAYS.get(kind, Action.ADMINISTER))


@cache
def _says(may: frozenset[Action]) -> frozenset[type[FromClient]]:
    return frozenset(kind for kind, action in SAYS.items() if action in may)


EVERYONE = Bearer()


def bearer_of(scope: Scope | Any) -> Bearer:
    """The bearer of a request or a connection that came through the door."""
    found = scope.get(SCOPE_KEY, EVERYONE)
    assert isinstance(found, Bearer)  # noqa: S101 - the door alone writes it
    return found
