"""Calls of Python functions as tasks: a function and its arguments out, a value or an exception home."""

from __future__ import annotations

import base64
import hashlib
import pickle
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from rpn.client.api import Api
from rpn.errors import BadSettings

INLINE_LIMIT = 128 * 1024
"""bytes of a pickled call or value that travel in the message; larger ones travel as a blob"""
LABELS = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
"""what a device says about itself that would run our calls: pickled code fits one minor version only"""


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


def unpack(result: Any, api: Callable[[], Api]) -> Any:
    """The value that a call returned."""
    carried = result["value"]
    if isinstance(carried, str):
        return pickle.loads(base64.b64decode(carried))  # noqa: S301 - our own submitter's trust in its pool
    with closing(api()) as gateway:
        return pickle.loads(gateway.get_bytes("api", "blobs", carried["blob"]))  # noqa: S301 - as above


def _carried(pickled: bytes, api: Callable[[], Api]) -> str | dict[str, str]:
    if len(pickled) <= INLINE_LIMIT:
        return base64.b64encode(pickled).decode()
    digest = hashlib.sha256(pickled).hexdigest()
    with closing(api()) as gateway:
        gateway.put_bytes("api", "blobs", digest, body=pickled)
    return {"blob": digest}
