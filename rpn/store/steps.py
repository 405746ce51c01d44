"""Atomic steps that travel together: many scripts, one round trip, an answer for each.

A script may be made to take many: steps of it that follow each other then go as one call, which
answers with a list. What they have in common is said once, and the server begins one script, not
hundreds; each of them is still checked, done or refused alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from rpn.errors import RPNError
from rpn.store.connection import Connection, NoScriptError
from rpn.store.scripts import Script

T = TypeVar("T")

TOGETHER_LIMIT = 64
"""steps in one call of a script: nobody else is served meanwhile"""


class Step(NamedTuple, Generic[T]):
    """One script with its arguments, safe to repeat until its answer is known."""

    script: Script
    keys: list[str]
    args: list[Any]
    decode: Callable[[Any], T]
    """makes the answer of the reply; may raise an RPNError, which then is the answer"""
    common: Sequence[str] | None = None
    """keys that come first, once for all steps of a script that takes many; None: it takes one"""
    marks_all: bool = False
    """the keys of the first step of a call stand for the whole call: those of the others are left out"""


class _Call(NamedTuple):
    """One call of a script, for one step or for several."""

    steps: list[Step[Any]]

    @property
    def script(self) -> Script:
        return self.steps[0].script

    def said(self) -> tuple[list[str], list[Any]]:
        """Keys and arguments."""
        first = self.steps[0]
        if first.common is None:
            return first.keys, first.args
        keys, args = list(first.common), []
        for step in self.steps:
            args += step.args
        for step in self.steps[:1] if first.marks_all else self.steps:
            keys += step.keys
        return keys, args

    def replies(self, reply: Any) -> list[Any]:
        """One for each step."""
        if self.steps[0].common is None or isinstance(reply, Exception):
            return [reply] * len(self.steps)
        return list(reply)


async def run_steps(connection: Connection, steps: list[Step[Any]]) -> list[Any]:
    """The answers of all steps, in order; an answer may be an RPNError.

    Raises StoreUnavailable when it is unknown which were done, or whether they last: then run the
    same steps again.
    """
    calls = list(_calls(steps))
    replies = await connection.run([call.script.words(*call.said()) for call in calls], lasting=True)
    answers: list[Any] = []
    for call, reply in zip(calls, replies, strict=True):
        answers += await _answers(connection, call, reply)
    return answers


def _calls(steps: list[Step[Any]]) -> Iterator[_Call]:
    """Steps that follow each other and may go together, together."""
    gathered: list[Step[Any]] = []
    for step in steps:
        if gathered and not _together(gathered, step):
            yield _Call(gathered)
            gathered = []
        gathered.append(step)
    if gathered:
        yield _Call(gathered)


def _together(gathered: list[Step[Any]], step: Step[Any]) -> bool:
    first = gathered[0]
    if first.common is None or first.script is not step.script or len(gathered) >= TOGETHER_LIMIT:
        return False
    return first.common == step.common


async def _answers(connection: Connection, call: _Call, reply: Any) -> list[Any]:
    if isinstance(reply, NoScriptError):
        [reply] = await connection.run([call.script.whole(*call.said())], lasting=True)
    if isinstance(reply, Exception) and not isinstance(reply, RPNError):
        raise reply
    return [_answer(step, each) for step, each in zip(call.steps, call.replies(reply), strict=True)]


def _answer(step: Step[Any], reply: Any) -> Any:
    if isinstance(reply, RPNError):
        return reply
    try:
        return step.decode(reply)
    except RPNError as error:
        return error
