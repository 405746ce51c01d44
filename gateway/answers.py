"""REST answers: JSON with exactly API.md's keys, errors as `{error, code}`."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from gateway import faults
from gateway.bodies import Refusal
from rpn.errors import RateLimited


def json_response(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`value` as JSON; bytes are JSON already."""
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def error_response(error: Exception, *, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that failed."""
    text, code = faults.told(error)
    headers = dict(headers or {})
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after_s)
    return json_response(Refusal(error=text, code=code), status=faults.answer(error).status, headers=headers)
