"""The Resource Pooling Network: the words its processes share, and the library users import."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpn.client.executor import Executor as Executor
    from rpn.client.future import Future as Future
    from rpn.client.options import Options as Options
    from rpn.client.pool import AsyncPool as AsyncPool
    from rpn.client.pool import as_completed as as_completed
    from rpn.client.refusals import NotFulfilled as NotFulfilled
    from rpn.client.refusals import TaskFailed as TaskFailed
    from rpn.client.submission import Submission as Submission
    from rpn.client.sync import Pool as Pool
    from rpn.errors import RPNError as RPNError
    from rpn.model import Requirements as Requirements

__version__ = "0.1.0"

_HOMES = {
    "AsyncPool": "rpn.client.pool",
    "Executor": "rpn.client.executor",
    "Future": "rpn.client.future",
    "NotFulfilled": "rpn.client.refusals",
    "Options": "rpn.client.options",
    "Pool": "rpn.client.sync",
    "RPNError": "rpn.errors",
    "Requirements": "rpn.model",
    "Submission": "rpn.client.submission",
    "TaskFailed": "rpn.client.refusals",
    "as_completed": "rpn.client.pool",
}
"""where each public name lives: imported when it is first asked for, so that `import rpn` costs nothing"""

__all__ = sorted([*_HOMES, "__version__"])  # pyright: ignore


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rpn' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
