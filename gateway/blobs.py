"""`/api/blobs/SHA256`: what is bigger than a message comes in and goes out, a piece at a time.

Nothing is held whole here: a piece is passed on to the store before the next one is taken from the
socket. A run of many files needs many requests at once, so blobs have a limit of their own and
leave the one of the other routes alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.answers import error_response, json_response
from gateway.bodies import KeptBlob
from gateway.metrics import Counters
from gateway.toll import Toll
from rpn.errors import BadMessage, BlobMismatch, BlobTooLarge, NotFound, RPNError, Slow, StoreUnavailable
from rpn.store.blobs import PIECE_KIB, Blobs, Upload

PAUSE_LIMIT_S = 20.0
"""how long a client may let us wait for the next bytes of an upload"""
STORE_LIMIT = 4
"""pieces that go to or come from the store at once: other work needs its connections too"""
_PIECE = PIECE_KIB * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""a blob is anybody's: a browser must not take it for a page of ours"""

Handler = Callable[[Request, str], Awaitable[Response]]


class BlobRoutes:
    """Takes blobs of at most `limit_mib` and gives them back."""

    def __init__(self, blobs: Blobs, toll: Toll, counters: Counters, *, limit_mib: int) -> None:
        self._blobs = blobs
        self._toll = toll
        self._counters = counters
        self._limit_mib = limit_mib
        self._turns = asyncio.Semaphore(STORE_LIMIT)

    def routes(self) -> list[Route]:
        path = "/api/blobs/{sha256}"
        return [
            Route(path, self._answered(self._put), methods=["PUT"]),
            Route(path, self._answered(self._get), methods=["GET", "HEAD"]),
        ]

    def _answered(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Count the request, refuse it or answer it."""

        async def answered(request: Request) -> Response:
            try:
                await self._toll.take(request)
                response = await handler(request, _named(request))
            except RPNError as error:
                self._counters.refused[error.code] += 1
                response = error_response(error)
            self._counters.requests[response.status_code] += 1
            return response

        return answered

    # --- out ----------------------------------------------------------------------------------

    async def _get(self, request: Request, sha256: str) -> Response:
        size = await self._blobs.touch(sha256)
        if size is None:
            raise NotFound(f"there is no blob {sha256}")
        headers = {**_HEADERS, "Content-Length": str(size), "ETag": f'"{sha256}"'}
        media_type = "application/octet-stream"
        if request.method == "HEAD":
            return Response(headers=headers, media_type=media_type)
        return StreamingResponse(self._pieces(sha256, size), headers=headers, media_type=media_type)

    async def _pieces(self, sha256: str, size: int) -> AsyncIterator[bytes]:
        pieces = aiter(self._blobs.read(sha256, size))
        while True:
            async with self._turns:
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece

    # --- in -----------------------------------------------------------------------------------

    async def _put(self, request: Request, sha256: str) -> Response:
        """201 when it is new, 200 when it was there, and then its content is not read."""
        self._check_size(int(request.headers.get("content-length") or 0))
        size = await self._blobs.touch(sha256)
        if size is not None:
            return json_response(KeptBlob(blob=sha256, size=size))
        upload = self._blobs.upload()
        try:
            is_new = await self._take(request, sha256, upload)
        except BaseException:
            await asyncio.shield(_forget(upload))
            raise
        return json_response(KeptBlob(blob=sha256, size=upload.size), status=201 if is_new else 200)

    async def _take(self, request: Request, sha256: str, upload: Upload) -> bool:
        digest = hashlib.sha256()
        async for piece in self._body(request):
            digest.update(piece)
            async with self._turns:
                await upload.write(piece)
        if digest.hexdigest() != sha256:
            raise BlobMismatch(f"this content has the SHA-256 {digest.hexdigest()}")
        return await upload.commit(sha256)

    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        """The body in pieces of exactly `PIECE_KIB`, but for the last one, which may be empty."""
        waiting, taken = bytearray(), 0
        body = aiter(request.stream())
        while (part := await _next_part(body)) is not None:
            taken += len(part)
            self._check_size(taken)
            waiting += part
            while len(waiting) > _PIECE:
                yield bytes(waiting[:_PIECE])
                del waiting[:_PIECE]
        yield bytes(waiting)

    def _check_size(self, size: int) -> None:
        if size > self._limit_mib * 2**20:
            raise BlobTooLarge(f"a blob has at most {self._limit_mib} MiB (RPN_BLOB_LIMIT_MIB)")


def _named(request: Request) -> str:
    name = str(request.path_params["sha256"])
    if not _SHA256.fullmatch(name):
        raise BadMessage("a blob is named by the SHA-256 of its content: 64 digits, 0-9 and a-f")
    return name


async def _next_part(body: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(PAUSE_LIMIT_S):
            return await anext(body, None)
    except TimeoutError:
        raise Slow(f"nothing came for {PAUSE_LIMIT_S:g} s") from None
    except ClientDisconnect:
        raise Slow("the client went away") from None


async def _forget(upload: Upload) -> None:
    with suppress(StoreUnavailable):  # then it expires
        await upload.drop()
