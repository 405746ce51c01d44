"""The one table of who may do what: each cell of it, and that nothing is left out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.bearers import EVERYONE, Bearer
from gateway.roles import EVERYBODY, MAY, SAYS, Action, needed
from gateway.session import Session
from rpn.errors import Forbidden, RPNError
from rpn.messages import FromClient, Observe
from rpn.store.tokens import TokenRecord
from rpn.tokens import TokenKind
from tests.support import make

TABLE = """
                              admin device submitter observer metrics join
see the pool                  yes   yes    yes       yes      -       -
see addresses                 yes   yes    yes       -        -       -
observe                       yes   -      yes       yes      -       -
register a device             yes   yes    yes       -        -       -
run tasks                     yes   yes    -         -        -       -
reserve resources             yes   yes    yes       -        -       -
submit tasks                  yes   yes    yes       -        -       -
store and fetch blobs         yes   yes    yes       -        -       -
read metrics                  yes   -      -         -        yes     -
become a device               yes   -      -         -        -       yes
get a ticket for a browser    yes   -      yes       yes      -       -
administer                    yes   -      -         -        -       -
"""
ROUTES = [
    ("GET", "/", Action.SEE),
    ("GET", "/api/devices", Action.SEE),
    ("GET", "/api/devices/a", Action.SEE),
    ("GET", "/api/resources", Action.SEE),
    ("GET", "/api/stats", Action.SEE),
    ("GET", "/api/pool", Action.SEE),
    ("GET", "/api/tasks/t", Action.SEE),
    ("POST", "/api/tasks", Action.SUBMIT),
    ("DELETE", "/api/tasks/t", Action.SUBMIT),
    ("GET", "/api/allocations", Action.SEE),
    ("POST", "/api/allocations", Action.RESERVE),
    ("POST", "/api/allocations/x/renew", Action.RESERVE),
    ("DELETE", "/api/allocations/x", Action.RESERVE),
    ("PUT", "/api/blobs/0", Action.BLOBS),
    ("GET", "/api/blobs/0", Action.BLOBS),
    ("GET", "/metrics", Action.METRICS),
    ("POST", "/api/join", Action.JOIN),
    ("POST", "/api/tickets", Action.TICKET),
    ("GET", "/api/tokens", Action.ADMINISTER),
    ("POST", "/api/tokens", Action.ADMINISTER),
    ("DELETE", "/api/tokens/x", Action.ADMINISTER),
    ("GET", "/api/audit", Action.ADMINISTER),
    ("PATCH", "/", Action.ADMINISTER),
    ("GET", "/whatever/comes", Action.ADMINISTER),
    ("GET", "/livez/..", Action.ADMINISTER),
]


def cells() -> list[tuple[Action, TokenKind, bool]]:
    heading, *rows = TABLE.strip("\n").splitlines()
    kinds = [TokenKind(name) for name in heading.split()]
    return [
        (Action(row[:30].strip()), kind, cell == "yes")
        for row in rows
        for kind, cell in zip(kinds, row[30:].split(), strict=True)
    ]


def bearer(kind: TokenKind) -> Bearer:
    return Bearer(TokenRecord("x", kind, b"", "", 0))


@pytest.mark.parametrize(("action", "kind", "may"), cells())
def test_each_kind_may_do_what_the_table_says(action: Action, kind: TokenKind, may: bool) -> None:
    assert (action in MAY[kind]) == may


def test_the_table_names_every_action_and_every_kind() -> None:
    assert {action for action, _, _ in cells()} == set(Action)
    assert {kind for _, kind, _ in cells()} == set(TokenKind) == set(MAY)


@pytest.mark.parametrize(("method", "path", "action"), ROUTES, ids=str)
def test_a_request_needs_what_its_route_is_for(method: str, path: str, action: Action) -> None:
    assert needed(method, path) is action
    for kind in TokenKind:
        allowed = True
        try:
            bearer(kind).check(action)
        except Forbidden:
            allowed = False
        assert allowed == (action in MAY[kind])


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/ui", "/ui/", "/ui/app.js"])
def test_health_and_the_page_are_anybodys(path: str) -> None:
    assert needed("GET", path) is None
    assert needed("HEAD", path) is None
    assert needed("POST", path) is Action.ADMINISTER


def test_every_message_needs_something() -> None:
    assert set(SAYS) == set(get_args(FromClient))


@pytest.mark.parametrize("kind", TokenKind)
def test_a_connection_says_what_its_token_allows(kind: TokenKind) -> None:
    for message in (make.register("a"), Observe()):
        session = Session(bearer(kind))
        refused: type[RPNError] | None = None
        try:
            session.admit(message)
        except RPNError as error:
            refused = type(error)
        assert refused is (None if SAYS[type(message)] in MAY[kind] else Forbidden)


def test_only_devices_offer_to_run_tasks() -> None:
    offer: Any = make.register("a", accepts=frozenset({"tasks"}))
    for kind in TokenKind:
        session = Session(bearer(kind))
        if Action.RUN_TASKS in MAY[kind]:
            session.admit(offer)
        else:
            with pytest.raises(Forbidden):
                session.admit(offer)


def test_where_no_tokens_are_asked_for_everybody_uses_the_pool_and_nobody_administers_it() -> None:
    assert EVERYONE.may == EVERYBODY
    assert set(Action) - EVERYBODY == {Action.ADMINISTER, Action.JOIN, Action.TICKET}


def test_the_documentation_shows_this_table() -> None:
    """One row an action, one column a kind."""
    lines = (Path(__file__).parents[2] / "docs/security.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    kinds = next(row[1:] for row in cells if row[1:] and set(row[1:]) == set(TokenKind))
    shown = {
        row[0]: {kind for kind, cell in zip(kinds, row[1:], strict=True) if cell == "yes"}
        for row in cells
        if row[0] in set(Action)
    }
    assert shown == {action: {kind for kind in TokenKind if action in MAY[kind]} for action in Action}
