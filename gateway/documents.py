"""`/openapi.json`, `/asyncapi.json`: what this gateway takes and answers, for programs to read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.answers import json_response
from gateway.asyncapi import asyncapi
from gateway.openapi import openapi
from gateway.schemas import Schema
from rpn.settings import GatewaySettings


class Document:
    """One document, made when somebody first asks for it and encoded once."""

    def __init__(self, make: Callable[[], Schema]) -> None:
        self._make = make
        self._encoded = b""
        self._headers: dict[str, str] = {}
        self._making = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        async with self._making:
            if not self._encoded:
                self._encoded = msgspec.json.encode(await asyncio.to_thread(self._make))
                tag = hashlib.sha256(self._encoded).hexdigest()[:16]
                self._headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        return json_response(self._encoded, headers=self._headers)


class Documents:
    """Both of them; `routes` tells what the gateway has, as soon as that is known."""

    def __init__(self, settings: GatewaySettings, routes: Callable[[], Sequence[BaseRoute]]) -> None:
        guarded = settings.auth == "token"
        limits = {"ttl": settings.allocation_ttl_limit_s}
        self._openapi = Document(lambda: openapi(routes(), guarded=guarded, limits=limits))
        self._asyncapi = Document(lambda: asyncapi(guarded=guarded))

    def routes(self) -> list[Route]:
        return [
            Route("/openapi.json", self._openapi.answer, methods=["GET"]),
            Route("/asyncapi.json", self._asyncapi.answer, methods=["GET"]),
        ]
