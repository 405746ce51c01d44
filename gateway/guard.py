"""What stands in front of every counted route: it counts, refuses, and says when an answer may be stale."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.answers import error_response
from gateway.auditor import Auditor
from gateway.bearers import bearer_of
from gateway.metrics import Counters
from gateway.toll import Toll
from rpn.errors import BadMessage, RPNError, Slow, StoreUnavailable
from rpn.store.follower import Follower

BODY_LIMIT = 512 * 1024
"""bytes of a request's body; what is bigger is a blob"""

Handler = Callable[[Request], Awaitable[Response]]


class Guard:
    """Wraps handlers; what they raise is told as `{error, code}`."""

    def __init__(self, toll: Toll, follower: Follower, counters: Counters, auditor: Auditor) -> None:
        self._toll = toll
        self._follower = follower
        self._counters = counters
        self._auditor = auditor

    def __call__(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                await self._toll.take(request)
                if not self._follower.loaded:
                    raise StoreUnavailable("the pool's server has not answered yet")
                response = await handler(request)
            except RPNError as error:
                self._counters.refused[error.code] += 1
                address = request.client.host if request.client else ""
                self._auditor.refused(bearer_of(request.scope).name, request.url.path, error, address)
                response = error_response(error)
            if not self._follower.current:
                response.headers["X-RPN-Stale"] = "1"
            self._counters.requests[response.status_code] += 1
            return response

        return guarded


async def body_of(request: Request, limit: int = BODY_LIMIT) -> bytes:
    """The whole body. Raises BadMessage when it is too big."""
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise BadMessage(f"a body has at most {limit} bytes here")
    except ClientDisconnect:
        raise Slow("the client went away") from None
    return bytes(body)
