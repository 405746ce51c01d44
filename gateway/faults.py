"""What an error means outside: the only place that knows HTTP statuses and close codes."""

from __future__ import annotations

import logging
from typing import NamedTuple

from rpn import errors
from rpn.errors import RPNError

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """How an error reaches a client."""

    status: int = 400
    """of a REST answer"""
    close: int = 0
    """close code of the WebSocket; 0: it stays open"""


ANSWERS: dict[type[RPNError], Answer] = {
    errors.BadMessage: Answer(400),
    errors.BadRequirements: Answer(400),
    errors.TextOnly: Answer(400, close=1003),
    errors.BlobMismatch: Answer(409),
    errors.NotFound: Answer(404),
    errors.MethodNotAllowed: Answer(405),
    errors.UpgradeRequired: Answer(426),
    errors.NotRegistered: Answer(403),
    errors.WrongDevice: Answer(403),
    errors.NotAccepted: Answer(403),
    errors.Unauthorized: Answer(401),
    errors.Forbidden: Answer(403),
    errors.BadOrigin: Answer(403),
    errors.BadHost: Answer(400),
    errors.TaskConflict: Answer(409),
    errors.RequestConflict: Answer(409),
    errors.AmbiguousTask: Answer(409),
    errors.DeviceLimit: Answer(503),
    errors.ObserverLimit: Answer(503),
    errors.RateLimited: Answer(429),
    errors.QueueFull: Answer(503),
    errors.TaskQuota: Answer(429),
    errors.BlobTooLarge: Answer(413),
    errors.BlobQuota: Answer(507),
    errors.TooManyErrors: Answer(429, close=1008),
    errors.StoreUnavailable: Answer(503),
    errors.NoAnswer: Answer(504),
    errors.Draining: Answer(503, close=1001),
    errors.Superseded: Answer(409, close=1008),
    errors.Silent: Answer(408, close=1008),
    errors.Slow: Answer(408, close=1008),
    errors.Unregistered: Answer(408, close=1008),
    errors.NotJoined: Answer(503, close=1011),
    errors.Revoked: Answer(401, close=1008),
    errors.Removed: Answer(409, close=1001),
}

INTERNAL = Answer(500, close=1011)


def answer(error: Exception) -> Answer:
    """How to answer `error`; of a bug of ours, only that there is one."""
    return ANSWERS.get(type(error), INTERNAL)  # type: ignore[arg-type]


def told(error: Exception) -> tuple[str, str]:
    """(text for people, code for programs) of `error`."""
    if isinstance(error, RPNError) and type(error) in ANSWERS:
        return str(error), error.code
    return "internal error", "INTERNAL"
