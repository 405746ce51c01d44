"""What schemathesis is told of this API beside its schema (named in SCHEMATHESIS_HOOKS, which it imports)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import schemathesis

PATIENCE_S = 0.2


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Let no question wait for its answer as long as it may: half a minute for each made-up one is long."""
    with suppress(KeyError, TypeError, ValueError):
        if float(case.query["wait"]) > PATIENCE_S:
            case.query["wait"] = PATIENCE_S
