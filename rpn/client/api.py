"""The REST side of a gateway for programs that wait: JSON and bytes over the standard library's HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from rpn import __version__
from rpn.client.refusals import exception_of
from rpn.client.servers import parse_servers
from rpn.client.trust import client_tls
from rpn.errors import RPNError, Unavailable
from rpn.messages import Error

ANSWER_LIMIT_S = 60.0
"""longer than any `wait` that we ask for"""


class Unreachable(Unavailable):
    """No gateway answered."""

    code = "UNREACHABLE"


class Api:
    """One gateway of several: the first that answers is kept. Not for more than one thread at once."""

    def __init__(self, server: str, *, token: str = "", answer_limit_s: float = ANSWER_LIMIT_S) -> None:
        self._gateways = [urlsplit(url) for url in parse_servers(server)]
        self._headers = {"User-Agent": f"rpn/{__version__}", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._answer_limit_s = answer_limit_s
        self._connection: http.client.HTTPConnection | None = None

    def get(self, *path: str, **query: object) -> Any:
        """The JSON at `/path/...`; parts and query are escaped here. Raises what the server refuses."""
        return self._json("GET", path, query)

    def post(self, *path: str, body: object) -> Any:
        return self._json("POST", path, {}, json.dumps(body).encode())

    def delete(self, *path: str, **query: object) -> Any:
        return self._json("DELETE", path, query)

    def put_bytes(self, *path: str, body: bytes) -> None:
        self._call("PUT", path, {}, body, "application/octet-stream")

    def get_bytes(self, *path: str) -> bytes:
        return self._call("GET", path, {}, None, "")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _json(
        self, method: str, path: tuple[str, ...], query: Mapping[str, object], body: bytes | None = None
    ) -> Any:
        answer = self._call(method, path, query, body, "application/json")
        return json.loads(answer) if answer else None

    def _call(
        self, method: str, path: tuple[str, ...], query: Mapping[str, object], body: bytes | None, kind: str
    ) -> bytes:
        """The body of the answer; the next gateway is asked when one cannot be reached."""
        target = "/" + "/".join(quote(part, safe="") for part in path)
        said = {name: value for name, value in query.items() if value is not None}
        if said:
            target += "?" + urlencode(said)
        headers = self._headers | ({"Content-Type": kind} if body is not None else {})
        fault: Exception | None = None
        for _ in range(len(self._gateways) + 1):  # a kept connection may have been closed meanwhile
            try:
                connection = self._open()
                connection.request(method, target, body, headers)
                answer = connection.getresponse()
                return _body(answer.status, answer.read())
            except (OSError, http.client.HTTPException) as error:
                self.close()
                fault = error
        raise Unreachable(f"no gateway answers: {fault or type(fault).__name__}")

    def _open(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            return self._connection
        gateway = self._gateways[0]
        self._gateways.append(self._gateways.pop(0))  # the next one, if this fails
        address, limit_s = (gateway.hostname or "", gateway.port), self._answer_limit_s
        if gateway.scheme == "wss":
            self._connection = http.client.HTTPSConnection(*address, timeout=limit_s, context=client_tls())
        else:
            self._connection = http.client.HTTPConnection(*address, timeout=limit_s)
        return self._connection


def _body(status: int, body: bytes) -> bytes:
    """The body of a good answer; what a bad one tells is raised."""
    if status < 300:
        return body
    try:
        told = json.loads(body)
        raise exception_of(Error(error=told["error"], code=told["code"]))
    except (ValueError, KeyError, TypeError):
        raise RPNError(f"the server answered with status {status}") from None
