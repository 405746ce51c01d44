"""What a server refused, as the exception of the same code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rpn import errors
from rpn.errors import RPNError
from rpn.messages import Error
from rpn.model import Reason


class TaskFailed(RPNError):
    """A task ended without success; `code` tells how: EXIT, TIMEOUT, OOM, CANCELLED, ..."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text, code)
        self.code = code

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.code})" if self.code else str(self.args[0])

    @property
    def state(self) -> str:
        """The state in which the task ended."""
        return {"CANCELLED": "cancelled", "EXPIRED": "expired"}.get(self.code, "failed")


class NotFulfilled(RPNError):
    """A reservation was not granted; `reason` tells why, if the server said so."""

    code = "NOT_FULFILLED"

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason = reason


def result_of(outcome: object) -> Any:
    """What a task's outcome holds. Raises TaskFailed if it is a failure."""
    if not isinstance(outcome, dict):
        return outcome
    if outcome.get("success") is False:
        raise TaskFailed(str(outcome.get("error", "")), str(outcome.get("code", "")))
    return outcome.get("result")


def exception_of(refusal: Error) -> RPNError:
    """The error of ours with this code; a plain RPNError with that code if we know none."""
    kind = _KINDS.get(refusal.code)
    if kind is not None:
        return kind(refusal.error)
    unknown = RPNError(refusal.error)
    unknown.code = refusal.code
    return unknown


def _kinds(base: type[RPNError]) -> Iterator[type[RPNError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


_KINDS = {
    kind.code: kind
    for kind in _kinds(RPNError)
    if kind.code != RPNError.code and kind is not errors.RateLimited  # needs more than a text, and is REST's
}
