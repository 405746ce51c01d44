"""Atomic steps that travel together: many scripts, one round trip, an answer for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from rpn.errors import RPNError
from rpn.store.connection import Connection, NoScriptError
from rpn.store.scripts import Script

T = TypeVar("T")


class Step(NamedTuple, Generic[T]):
    """One script with its arguments, safe to repeat until its answer is known."""

    script: Script
    keys: list[str]
    args: list[Any]
    decode: Callable[[Any], T]
    """makes the answer of the reply; may raise an RPNError, which then is the answer"""


async def run_steps(connection: Connection, steps: list[Step[Any]]) -> list[Any]:
    """The answers of all steps, in order; an answer may be an RPNError.

    Raises StoreUnavailable when it is unknown which were done, or whether they last: then run the
    same steps again.
    """
    commands = [step.script.words(step.keys, step.args) for step in steps]
    replies = await connection.run(commands, lasting=True)
    return [await _answer(connection, step, reply) for step, reply in zip(steps, replies, strict=True)]


async def _answer(connection: Connection, step: Step[Any], reply: Any) -> Any:
    if isinstance(reply, NoScriptError):
        [reply] = await connection.run([step.script.whole(step.keys, step.args)], lasting=True)
    if isinstance(reply, RPNError):
        return reply
    if isinstance(reply, Exception):
        raise reply
    try:
        return step.decode(reply)
    except RPNError as error:
        return error
