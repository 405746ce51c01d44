"""Calls of Python functions as tasks: a function and its arguments out, a value or an exception home.

What comes home is unpickled: a pool that runs your functions is a pool that you trust.
"""

from __future__ import annotations

import base64
import hashlib
import pickle
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from rpn.client.api import Api
from rpn.client.refusals import TaskFailed, result_of
from rpn.errors import BadSettings
from rpn.model import Outcome

INLINE_LIMIT = 128 * 1024
"""bytes of a pickled call that travel in the message; a larger one travels as a blob"""
LABELS = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
"""what a device says about itself that would run our calls: pickled code fits one minor version only"""


class RemoteTraceback(Exception):
    """Where a function raised, on the device that ran it; the cause of what `result` raises here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


def pack(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], api: Callable[[], Api]
) -> dict[str, Any]:
    """The task data of a call. Raises what pickling it raises, BadSettings without cloudpickle."""
    try:
        import cloudpickle
    except ImportError:
        text = "Python functions need the extra: pip install 'resource-pooling-network[python]'"
        raise BadSettings(text) from None
    return {"callable": _carried(cloudpickle.dumps((function, args, kwargs)), api)}


def value_of(outcome: Any) -> Any:
    """The value that a call returned. Raises what it raised, or TaskFailed."""
    try:
        result = result_of(outcome)
    except TaskFailed as failed:
        error = _raised(outcome, failed)
    else:
        return pickle.loads(base64.b64decode(result["value"]))  # noqa: S301 - see above
    raise error


def blob_of(outcome: Any) -> str:
    """The blob that holds a call's value; empty if the value came with the message."""
    result = outcome.get("result") if isinstance(outcome, dict) else None
    value = result.get("value") if isinstance(result, dict) else None
    return str(value.get("blob", "")) if isinstance(value, dict) else ""


def with_value(outcome: Any, api: Callable[[], Api]) -> Any:
    """The outcome with the value itself instead of its blob. Raises RPNError."""
    with closing(api()) as gateway:
        pickled = gateway.get_bytes("api", "blobs", blob_of(outcome))
    return {**outcome, "result": {"value": base64.b64encode(pickled).decode()}}


def _raised(outcome: dict[str, Any], failed: TaskFailed) -> BaseException:
    """The exception itself if it could travel, with the traceback it had there."""
    told = outcome.get("result")
    if not isinstance(told, dict) or not isinstance(told.get("exception"), str):
        return failed
    try:
        pickled = base64.b64decode(told["exception"])
    except ValueError:
        return failed
    return raised(pickled, str(failed.args[0]), failed.code)


def raised(pickled: bytes, text: str, code: str = Outcome.EXIT) -> Exception:
    """What a call raised, with the traceback it had there; TaskFailed if it could not travel."""
    try:
        error = pickle.loads(pickled)  # noqa: S301 - see above
    except Exception:
        return TaskFailed(text, code)
    if not isinstance(error, Exception):  # SystemExit and the like end nothing here
        return TaskFailed(text, code)
    error.__cause__ = RemoteTraceback(text)
    return error


def _carried(pickled: bytes, api: Callable[[], Api]) -> str | dict[str, str]:
    if len(pickled) <= INLINE_LIMIT:
        return base64.b64encode(pickled).decode()
    digest = hashlib.sha256(pickled).hexdigest()
    with closing(api()) as gateway:
        gateway.put_bytes("api", "blobs", digest, body=pickled)
    return {"blob": digest}
