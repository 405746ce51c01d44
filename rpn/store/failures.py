"""What redis-py and the server say for "not now", turned into StoreUnavailable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rpn.errors import StoreUnavailable

NOT_NOW = (ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError, AskError)
"""server errors after which a command is certainly not done, and may be later"""
NOT_NOW_CODES = ("MISCONF", "NOREPLICAS")
"""the same, where redis-py has no class; of those that have one it cuts the code from the text"""
LOST = (RedisConnectionError, RedisTimeoutError, OSError)
ELSEWHERE = (ReadOnlyError, ClusterDownError, AskError)
"""server errors which tell that the pool lives on another server now; MOVED is an AskError"""

Note = Callable[[Exception], None]
"""hears of every failure that may mean that the pool lives elsewhere by now"""


def answered(reply: Any) -> Any:
    """A reply as it is, but for errors that mean "not now"."""
    return refusal(reply) if isinstance(reply, ResponseError) and not_now(reply) else reply


def not_now(error: ResponseError) -> bool:
    return isinstance(error, NOT_NOW) or str(error).startswith(NOT_NOW_CODES)


def refusal(error: ResponseError) -> StoreUnavailable:
    if isinstance(error, MovedError):
        return StoreUnavailable(
            f"the pool lives on another node of a Cluster ({error}); "
            "only RPN_REDIS_URL=redis+cluster://HOST:PORT,... can follow it there"
        )
    return StoreUnavailable(f"the pool's server refuses to write: {error}")


def translated(error: Exception, note: Note, *, moved_is_final: bool = True) -> Exception:
    """What to raise for it: itself if it is no matter of the moment."""
    if isinstance(error, NoScriptError):
        return error
    if isinstance(error, LOST):
        note(error)
        return StoreUnavailable(f"the pool's server cannot be reached: {error}")
    if isinstance(error, ResponseError):
        note(error)
        if not_now(error) and (moved_is_final or not isinstance(error, MovedError)):
            return refusal(error)
    return error


@contextmanager
def failures(note: Note, *, moved_is_final: bool = True) -> Iterator[None]:
    """Raise what is `translated`, whatever a block raises."""
    try:
        yield
    except Exception as error:
        told = translated(error, note, moved_is_final=moved_is_final)
        if told is error:
            raise
        raise told from None
