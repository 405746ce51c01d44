"""Makes sure that what a program hands us arrives as it is, before anything is sent."""

from __future__ import annotations

import json
from typing import Any

from rpn.codec import encode
from rpn.messages import Message
from rpn.model import Task


def check_input(value: Any) -> None:
    """Raises TypeError or ValueError, naming what, unless `value` is JSON; tuples count as lists."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except TypeError as error:
        raise TypeError(f"a task's input is JSON, or the arguments of a Python function: {error}") from None
    except UnicodeEncodeError as error:
        raise ValueError(f"a task's input is text that UTF-8 can tell: {error}") from None
    except ValueError as error:
        raise ValueError(f"a task's input is JSON: {error}") from None


def check_sendable(said: Message | Task) -> None:
    """Raises TypeError or ValueError unless it can be sent: what waits to be sent may not fail there."""
    encode(said)
