"""What each kind of bearer may see and do: one table for REST and for the WebSocket, and the only one.

docs/security.md shows it; a test holds the two together. A route or a message that is not named
here is for administrators, so that a new one cannot be open by mistake.
"""

from __future__ import annotations

import re
from enum import StrEnum

from rpn.messages import (
    Ack,
    AllocationRenew,
    FromClient,
    Heartbeat,
    Observe,
    Ping,
    Register,
    ResourceRelease,
    ResourceRequest,
    ResourceUpdate,
    TaskCancel,
    TaskDone,
    TaskProgressReport,
    TaskStarted,
    TaskSubmit,
)
from rpn.tokens import TokenKind


class Action(StrEnum):
    """What somebody may be allowed to do."""

    SEE = "see the pool"
    SEE_ADDRESSES = "see addresses"
    OBSERVE = "observe"
    REGISTER = "register a device"
    RUN_TASKS = "run tasks"
    RESERVE = "reserve resources"
    SUBMIT = "submit tasks"
    BLOBS = "store and fetch blobs"
    METRICS = "read metrics"
    JOIN = "become a device"
    TICKET = "get a ticket for a browser"
    ADMINISTER = "administer"


_USES = {Action.SEE, Action.SEE_ADDRESSES, Action.REGISTER, Action.RESERVE, Action.SUBMIT, Action.BLOBS}

MAY: dict[TokenKind, frozenset[Action]] = {
    TokenKind.ADMIN: frozenset(Action),
    TokenKind.DEVICE: frozenset({*_USES, Action.RUN_TASKS}),
    TokenKind.SUBMITTER: frozenset({*_USES, Action.OBSERVE, Action.TICKET}),
    TokenKind.OBSERVER: frozenset({Action.SEE, Action.OBSERVE, Action.TICKET}),
    TokenKind.METRICS: frozenset({Action.METRICS}),
    TokenKind.JOIN: frozenset({Action.JOIN}),
}

EVERYBODY = frozenset(Action) - {Action.ADMINISTER, Action.JOIN, Action.TICKET}
"""what all may do where no tokens are asked for"""

_READS, _WRITES = "GET|HEAD", "POST|PUT|PATCH|DELETE"
ROUTES: list[tuple[str, Action | None]] = [
    (rf"({_READS}) /(livez|readyz)", None),
    (rf"({_READS}) /ui(/.*)?", None),
    (rf"({_READS}) /(openapi|asyncapi)\.json", Action.SEE),
    (rf"({_READS}) /", Action.SEE),
    (rf"({_READS}) /ws", Action.SEE),
    (rf"({_READS}) /metrics", Action.METRICS),
    (
        rf"({_READS}) /api/(devices|resources|stats|pool|system|history|usage|allocations|tasks)(/.*)?",
        Action.SEE,
    ),
    (r"POST /ui/qr\.svg", Action.SEE),
    (rf"({_WRITES}) /api/allocations(/.*)?", Action.RESERVE),
    (rf"({_WRITES}) /api/tasks(/.*)?", Action.SUBMIT),
    (rf"({_READS}|PUT) /api/blobs/.*", Action.BLOBS),
    (r"POST /api/join", Action.JOIN),
    (r"POST /api/tickets", Action.TICKET),
]
"""what a request needs, by method and path; None: nothing at all"""
_COMPILED = [(re.compile(pattern), action) for pattern, action in ROUTES]

SAYS: dict[type[FromClient], Action] = {
    Register: Action.REGISTER,
    Heartbeat: Action.REGISTER,
    ResourceUpdate: Action.REGISTER,
    Ack: Action.REGISTER,
    Ping: Action.SEE,
    Observe: Action.OBSERVE,
    ResourceRequest: Action.RESERVE,
    ResourceRelease: Action.RESERVE,
    AllocationRenew: Action.RESERVE,
    TaskSubmit: Action.SUBMIT,
    TaskCancel: Action.SUBMIT,
    TaskStarted: Action.RUN_TASKS,
    TaskProgressReport: Action.RUN_TASKS,
    TaskDone: Action.RUN_TASKS,
}
"""what a message needs"""


def needed(method: str, path: str) -> Action | None:
    """What a request needs; None if nothing."""
    asked = f"{method} {path}"
    for pattern, action in _COMPILED:
        if pattern.fullmatch(asked):
            return action
    return Action.ADMINISTER
