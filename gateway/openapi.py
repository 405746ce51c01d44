"""Makes /openapi.json: OpenAPI 3.1 of the routes that this gateway has, by the table of operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct
from starlette.routing import BaseRoute, Mount, Route

from gateway.bodies import Refusal
from gateway.faults import INTERNAL
from gateway.operations import OPERATIONS, Media, Operation, Told, told
from gateway.roles import needed
from gateway.schemas import Schema, reference, schemas_of
from rpn import __version__, errors

ABOUT = """Lists, reserves and uses the machines of a pool. Every answer that is neither 2xx nor 3xx is
`{error, code}`: a text for people and a code for programs, which stays what it is. A method that a path does
not have is answered with 405 `METHOD_NOT_ALLOWED`; its `Allow` names those it has. The WebSocket at
/ws is described by /asyncapi.json."""
JSON = "application/json"
SCHEME = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the pool; only where RPN_AUTH is `token`.",
    }
}
HEADERS: dict[str, Schema] = {
    "Allow": {"description": "The methods that there are.", "schema": {"type": "string"}},
    "Cache-Control": {"schema": {"type": "string"}},
    "ETag": {"description": "Changes when the content does.", "schema": {"type": "string"}},
    "Location": {"description": "Where to look it up.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "Vary": {"schema": {"type": "string"}},
    "WWW-Authenticate": {"schema": {"const": "Bearer"}},
    "X-RPN-Stale": {
        "description": "The pool's server is away: this is how things were before.",
        "schema": {"const": "1"},
    },
}
SENT = {302: "Location", 401: "WWW-Authenticate", 429: "Retry-After"}
"""the header that comes with every answer of a status"""
STATUSES = {200: "Done.", 201: "Made.", 202: "Taken; it will be done.", 302: "Elsewhere.", 304: "As before."}
Served = tuple[str, str, Operation]
"""method, path, and what that does"""


def openapi(routes: Iterable[BaseRoute], *, guarded: bool, limits: dict[str, float]) -> Schema:
    """The document; `guarded`: tokens are asked for; `limits`: the largest values, by the field's name."""
    served = [(method, path, OPERATIONS[f"{method} {path}"]) for method, path in served_by(routes)]
    kinds = list(dict.fromkeys(kind for each in served for kind in _kinds(each[2])))
    found, components = schemas_of([*kinds, Refusal])
    known = dict(zip(kinds, found, strict=False))
    for component in components.values():
        _limit(component, limits)
    paths: dict[str, Schema] = {}
    for method, path, operation in served:
        described = _Described(method, path, operation, known)
        paths.setdefault(path, {})[method.lower()] = described.whole(guarded=guarded)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Resource Pooling Network", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": SCHEME},
    }


def served_by(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """(method, path) of all that is to be known; a GET answers HEAD as well, without a word about it."""
    for route in routes:
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/"
        elif isinstance(route, Route) and route.include_in_schema:
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
            for method in sorted(route.methods or ()):
                if method != "HEAD" or f"HEAD {path}" in OPERATIONS:
                    yield method, path


def _kinds(operation: Operation) -> list[Any]:
    """All types that its schema is made of."""
    kinds = [operation.id, *operation.headers.values(), *operation.takes, *operation.answers.values()]
    return [each for each in kinds if each is not None and not isinstance(each, Media)]


def _limit(component: Schema, limits: dict[str, float]) -> None:
    for name, largest in limits.items():
        for schema in component.get("properties", {}).get(name, {}).get("anyOf", ()):
            if "maximum" in schema:
                schema["maximum"] = min(schema["maximum"], largest)


def _query(kind: type[Struct]) -> Iterator[Schema]:
    """The parameters behind the `?`, which are a struct's fields."""
    _, components = schemas_of([kind])
    for name, schema in components[kind.__name__]["properties"].items():
        description = schema.pop("description", None)
        described = {"description": description} if description else {}
        yield {"name": name, "in": "query", **described, "schema": schema}


class _Described:
    """One operation, in the words of OpenAPI."""

    def __init__(self, method: str, path: str, operation: Operation, known: dict[Any, Schema]) -> None:
        self._method = method
        self._path = path
        self._operation = operation
        self._known = known
        self._public = needed(method, path) is None

    def whole(self, *, guarded: bool) -> Schema:
        operation = self._operation
        described: Schema = {
            "operationId": operation.name,
            "summary": operation.summary,
            "tags": [self._path.split("/")[2] if self._path.startswith("/api/") else "gateway"],
            "responses": {str(status): each for status, each in sorted(self._responses().items())},
        }
        if parameters := [*self._parameters()]:
            described["parameters"] = parameters
        if operation.takes:
            described["requestBody"] = self._body()
        if not self._public:
            described["security"] = [{"bearer": []}] if guarded else [{}, {"bearer": []}]
        return described

    # --- what it takes ------------------------------------------------------------------------

    def _parameters(self) -> Iterator[Schema]:
        operation = self._operation
        for name in re.findall(r"\{(\w+)\}", self._path):
            yield {"name": name, "in": "path", "required": True, "schema": self._known[operation.id]}
        if operation.query is not None:
            yield from _query(operation.query)
        for name, kind in operation.headers.items():
            yield {"name": name, "in": "header", "schema": self._known[kind]}

    def _body(self) -> Schema:
        operation = self._operation
        if isinstance(operation.takes[0], Media):
            media, schema = operation.takes[0]
        else:
            media, schemas = JSON, [self._known[kind] for kind in operation.takes]
            schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        return {"required": not operation.may_be_empty, "content": {media: {"schema": schema}}}

    # --- what it answers ----------------------------------------------------------------------

    def _responses(self) -> dict[int, Schema]:
        good = {status: self._good(status, kind) for status, kind in self._operation.answers.items()}
        codes: dict[int, set[str]] = {}
        for status, code in self._refusals():
            codes.setdefault(status, set()).add(code)
        return good | {status: self._bad(status, sorted(each)) for status, each in codes.items()}

    def _good(self, status: int, kind: Any) -> Schema:
        response: Schema = {"description": STATUSES[status]}
        if kind is not None:
            media, schema = kind if isinstance(kind, Media) else (JSON, self._known[kind])
            response["content"] = {media: {"schema": schema}}
        leads_to = self._operation.leads_to if status == next(iter(self._operation.answers)) else {}
        links = {
            name: {"operationId": name, "parameters": parameters} for name, parameters in leads_to.items()
        }
        return response | ({"links": links} if links else {}) | self._headers(status, self._operation.tells)

    def _bad(self, status: int, codes: list[str]) -> Schema:
        told = {"properties": {"code": {"enum": codes}}} | reference(Refusal)
        content = {} if self._method == "HEAD" else {"content": {JSON: {"schema": told}}}
        return {"description": ", ".join(f"`{code}`" for code in codes)} | content | self._headers(status)

    def _headers(self, status: int, tells: Iterable[str] = ()) -> Schema:
        always = [SENT[status]] if status in SENT else []
        names = dict.fromkeys([*always, *tells, *(["X-RPN-Stale"] if self._operation.counts else [])])
        headers = {name: HEADERS[name] | ({"required": True} if name in always else {}) for name in names}
        return {"headers": headers} if headers else {}

    def _refusals(self) -> Iterator[Told]:
        yield from map(told, self._operation.errors)
        yield from map(told, (errors.BadHost, errors.BadMessage))
        yield Told(INTERNAL.status, "INTERNAL")
        if self._method not in ("GET", "HEAD"):
            yield told(errors.BadOrigin)
        if self._operation.counts or not self._public:
            yield from map(told, (errors.RateLimited, errors.StoreUnavailable))
        if not self._public:
            yield from map(told, (errors.Unauthorized, errors.Forbidden))
