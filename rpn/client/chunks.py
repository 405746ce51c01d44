"""Several calls of one function in one task: what runs on the device, and what its outcomes mean here.

`run` travels by value, so a device needs no more of us than for any other function.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from rpn.client.calls import raised

Outcome = tuple[bool, bytes, str]
"""(it succeeded, the pickled value or exception, the traceback)"""


@cache
def travel_by_value() -> None:
    """Have `run` pickled whole, once for this process; who sends it tells if cloudpickle is missing."""
    with suppress(ImportError):
        import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[__name__])


def run(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> tuple[float, list[Outcome]]:
    """(seconds that all took, an outcome for each): what one raises does not touch the others."""
    import pickle
    import time
    import traceback

    import cloudpickle

    error_limit, exception_limit = 4000, 64 * 1024

    def told(error: BaseException) -> str:
        inner = error.__traceback__.tb_next if error.__traceback__ is not None else None
        text = "".join(traceback.format_exception(type(error), error, inner)).rstrip()
        return text if len(text) <= error_limit else "..." + text[-error_limit:]

    def travelling(error: BaseException) -> bytes:
        try:
            pickled = bytes(cloudpickle.dumps(error))
            pickle.loads(pickled)  # noqa: S301 - our own: some can be pickled but not unpickled
        except Exception:
            return b""
        return pickled if len(pickled) <= exception_limit else b""

    outcomes: list[Outcome] = []
    began_s = time.perf_counter()
    for args in calls:
        try:
            outcomes.append((True, bytes(cloudpickle.dumps(function(*args))), ""))
        except BaseException as error:  # also SystemExit: it ends the call, not the others
            outcomes.append((False, travelling(error), told(error)))
    return time.perf_counter() - began_s, outcomes


def read(outcome: Outcome) -> Any:
    """The value of one call. Raises what it raised."""
    success, pickled, text = outcome
    if success:
        return pickle.loads(pickled)  # noqa: S301 - as for every call: see rpn.client.calls
    raise raised(pickled, text)
