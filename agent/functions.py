"""Calls pickled Python functions, in a worker: a value comes home, or the exception with its traceback."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import threading
import traceback

import cloudpickle

from agent.frames import PythonCall, Reply

EXCEPTION_LIMIT_KIB = 64
"""a larger exception comes home as text alone"""
ERROR_LIMIT = 4000
"""characters of a traceback; its end is what counts"""


def run(call: PythonCall) -> Reply:
    """Call it in a folder of its own."""
    home = os.getcwd()
    with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            reply = _called(call.pickled)
        finally:
            os.chdir(home)
    reply.stale = threading.active_count() > 1
    return reply


def _called(pickled: bytes) -> Reply:
    try:
        function, args, kwargs = pickle.loads(pickled)  # noqa: S301 - the owner named who may send it
        return Reply(output=cloudpickle.dumps(function(*args, **kwargs)))
    except BaseException as error:  # also SystemExit: it ends the call, not the worker
        return Reply(code="EXIT", error=_told(error), exception=_pickled(error))


def _told(error: BaseException) -> str:
    """The traceback as Python prints it, from the function on."""
    outer = error.__traceback__
    inner = outer.tb_next if outer is not None else None
    text = "".join(traceback.format_exception(type(error), error, inner)).rstrip()
    return text if len(text) <= ERROR_LIMIT else "..." + text[-ERROR_LIMIT:]


def _pickled(error: BaseException) -> bytes:
    """The exception, unless it cannot be pickled or is too large."""
    try:
        pickled = bytes(cloudpickle.dumps(error))
        pickle.loads(pickled)  # noqa: S301 - our own: some can be pickled but not unpickled
    except Exception as reason:
        sys.stderr.write(f"the exception itself cannot travel: {reason}\n")
        return b""
    return pickled if len(pickled) <= EXCEPTION_LIMIT_KIB * 1024 else b""
