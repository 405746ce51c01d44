"""/openapi.json: no route without its entry, no error without its code."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from starlette.routing import BaseRoute, Route

from gateway.app import Gateway
from gateway.faults import ANSWERS
from gateway.openapi import openapi, served_by
from gateway.operations import OPERATIONS
from gateway.roles import needed
from rpn import errors
from rpn.settings import GatewaySettings
from rpn.store.connection import Connection
from tests.support.contract import Contract

LIMITS = {"ttl": 100.0}
NOT_BY_REST = {
    errors.TextOnly,
    errors.NotRegistered,
    errors.WrongDevice,
    errors.NotAccepted,
    errors.DeviceLimit,
    errors.ObserverLimit,
    errors.TooManyErrors,
    errors.MethodNotAllowed,
    errors.UpgradeRequired,
    *errors.Ended.__subclasses__(),
} - {errors.Slow}
"""what only a connection can cause; a method that is not there belongs to no operation"""


def routes(auth: Any = "token") -> list[BaseRoute]:
    """Those of a gateway that nobody runs."""
    settings = GatewaySettings(auth=auth)

    async def built() -> Gateway:
        return Gateway(settings, Connection(settings.redis_url))

    return asyncio.run(built()).routes


def document(auth: Any = "token") -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(openapi(routes(auth), guarded=auth == "token", limits=LIMITS))
    return found


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_has_an_entry_and_every_entry_a_route() -> None:
    """Who adds a route describes it in gateway/operations.py."""
    served = {f"{method} {path}" for method, path in served_by(routes())}
    assert served - OPERATIONS.keys() == set()
    assert OPERATIONS.keys() - served == set()


def test_a_new_route_cannot_be_forgotten() -> None:
    async def handler(_: Any) -> None: ...

    with pytest.raises(KeyError, match="GET /api/new"):
        openapi([Route("/api/new", handler, methods=["GET"])], guarded=False, limits={})


def test_an_open_pool_describes_no_tokens_and_asks_for_none() -> None:
    described = document("open")
    assert not any(path.startswith("/api/token") for path in described["paths"])
    assert all({} in operation.get("security", [{}]) for _, _, operation in operations(described))


def test_where_tokens_are_asked_for_only_what_is_public_is_open(described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        asks = operation.get("security") == [{"bearer": []}]
        assert asks == (needed(method, path) is not None), path
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_code_that_rest_may_tell_is_told_by_some_operation(described: dict[str, Any]) -> None:
    told = {
        (int(status), code)
        for _, _, operation in operations(described)
        for status, response in operation["responses"].items()
        for media in response.get("content", {}).values()
        for code in media["schema"].get("properties", {}).get("code", {}).get("enum", ())
    }
    expected = {(answer.status, kind.code) for kind, answer in ANSWERS.items() if kind not in NOT_BY_REST}
    assert told == {*expected, (500, "INTERNAL"), (404, "DRAINING")} - {(503, "DRAINING")}


def test_its_schemas_are_schemas_and_refer_to_what_is_there(described: dict[str, Any]) -> None:
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    encoded = msgspec.json.encode(described).decode()
    for reference in set(re.findall(r'"\$ref":"([^"]+)"', encoded)):
        Contract({**described, "operations": {}}).resolved(reference)
    assert r"\Z" not in encoded


def test_links_lead_to_operations_and_names_are_unique(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(names) == len(set(names))
    linked = {name for operation in OPERATIONS.values() for name in operation.leads_to}
    assert linked <= set(names)


def test_fields_carry_what_the_code_says_of_them(described: dict[str, Any]) -> None:
    ttl = described["components"]["schemas"]["AllocationWanted"]["properties"]["ttl"]
    assert ttl["anyOf"][0]["maximum"] == LIMITS["ttl"]
    gpus = described["components"]["schemas"]["PoolTotals"]["properties"]["totalGPUs"]
    assert gpus["description"] == "devices that have a GPU"
    [wait] = [each for each in get(described, "/api/tasks/{id}")["parameters"] if each["name"] == "wait"]
    assert (wait["in"], wait["schema"]["maximum"]) == ("query", 60)


def get(described: dict[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = described["paths"][path]["get"]
    return found
