"""The page at /ui/: its files, headers that let nothing else run in it, and the QR codes it shows."""

from __future__ import annotations

import io
from importlib.resources import files

import segno
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.guard import body_of
from rpn.errors import BadMessage

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    # Asked again each time, and mostly answered with 304: a gateway of another version brings its own page.
    b"cache-control": b"no-cache",
}
QR_LIMIT_BYTES = 1000


class Sealed:
    """An application whose every answer carries `HEADERS`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_sealed)


def page() -> Mount:
    """The page's files."""
    folder = StaticFiles(directory=str(files("gateway") / "ui"), html=True)
    return Mount("/ui", Sealed(GZipMiddleware(folder, minimum_size=500)))


async def qr_code(request: Request) -> Response:
    """The request's body as a QR code, in SVG: in a body and not in an address, for it may be a secret."""
    text = await body_of(request, QR_LIMIT_BYTES)
    if not text:
        raise BadMessage("send the text of the QR code")
    drawn = io.BytesIO()
    code = segno.make_qr(text, error="m", boost_error=False)
    code.save(drawn, kind="svg", xmldecl=False, border=2, scale=4, light="#fff")
    return Response(drawn.getvalue(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})
