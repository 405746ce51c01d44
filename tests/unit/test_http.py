"""The REST side: API.md's shapes to the letter, counted by address, honest about being stale."""

from __future__ import annotations

from typing import Any, cast

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from gateway.auditor import Auditor
from gateway.http import Rest
from gateway.metrics import Counters, Exposition, GatewayCollector, Gauges
from rpn.errors import StoreUnavailable
from rpn.events import Identity, Kind, Operation, Report, pack_identity, pack_report
from rpn.messages import ResourceChanged
from rpn.replica import Replica
from rpn.settings import GatewaySettings
from rpn.store.audit import Audit
from rpn.store.follower import Follower
from rpn.store.rates import Rates
from tests.support import make
from tests.support.pool import StoreModel
from tests.unit.test_messages import RESOURCES

LIMIT = 3
JSON = {"accept": "application/json"}


class FakeFollower:
    loaded = current = True


class FakeRates:
    """Counts like the store; may be away."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.away = False

    async def count(self, address: str) -> tuple[int, int]:
        if self.away:
            raise StoreUnavailable("gone")
        self.counts[address] = self.counts.get(address, 0) + 1
        return self.counts[address], 41_500


class Site:
    """The routes, with a pool of one device."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self.follower, self.rates, self.counters = FakeFollower(), FakeRates(), Counters()
        self.replica = Replica()
        rest = Rest(
            GatewaySettings(rest_rate_limit=limit),
            self.replica,
            cast("Follower", self.follower),
            cast("Rates", self.rates),
            self.counters,
            Auditor(cast("Audit", None)),
            Exposition(GatewayCollector(self.counters, lambda: Gauges(0, 0, 0, 0, 0, True, 0))),
        )
        handlers: Any = {HTTPException: rest.on_http_error, Exception: rest.on_error}
        self.app = Starlette(routes=rest.routes(), exception_handlers=handlers)
        self.transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("10.0.0.9", 1))

    def join(self) -> None:
        """One device that has reported API.md's example."""
        model = StoreModel()
        changed = ResourceChanged(device_id="a", resources=msgspec.convert(RESOURCES, type(make.resources())))
        identity = pack_identity(Identity("Desktop PC", "windows", "192.168.1.100"))
        report = pack_report(Report(msgspec.json.encode(changed)))
        self.replica.apply(model.apply(Operation(Kind.JOIN, "a", "s", "g", identity, report)))

    async def call(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=self.transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers={**JSON, **headers})


@pytest.fixture
def site() -> Site:
    return Site()


async def test_the_status_is_api_mds(site: Site) -> None:
    site.join()
    answer = await site.call("/")
    assert answer.json() == {
        "service": "Resource Pooling Network",
        "version": "1.0.0",
        "devices": 1,
        "status": "online",
    }
    assert answer.headers["vary"] == "Accept"


async def test_a_browser_is_sent_to_the_page_and_not_counted(site: Site) -> None:
    answer = await site.call("/", accept="text/html,application/xhtml+xml")
    assert (answer.status_code, answer.headers["location"], answer.headers["vary"]) == (302, "ui/", "Accept")
    assert site.rates.counts == {}
    page = await site.call("/ui/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


async def test_devices_have_exactly_api_mds_keys(site: Site) -> None:
    site.join()
    (device,) = (await site.call("/api/devices")).json()["devices"]
    assert device == {
        "id": "a",
        "name": "Desktop PC",
        "platform": "windows",
        "ipAddress": "192.168.1.100",
        "lastSeen": "1970-01-01T00:00:01.000Z",
        "isOnline": True,
        "resources": RESOURCES,
    }


async def test_the_pool_is_the_plain_sum_of_reports(site: Site) -> None:
    site.join()
    pool = {
        "totalCpuAvailable": 54.5,
        "totalCpuCores": 8,
        "totalMemoryAvailable": 8192,
        "totalStorageAvailable": 488000,
        "totalGPUs": 1,
        "devices": 1,
    }
    assert (await site.call("/api/resources")).json() == {"pool": pool}
    stats = (await site.call("/api/stats")).json()
    assert stats == {"devices": 1, "resources": pool, "uptime": stats["uptime"]}
    assert isinstance(stats["uptime"], int)


async def test_one_too_many_is_refused_with_the_time_to_wait(site: Site) -> None:
    answers = [await site.call("/api/stats") for _ in range(LIMIT + 1)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429]
    assert answers[-1].json()["code"] == "RATE_LIMITED"
    assert answers[-1].headers["retry-after"] == "42"
    assert site.counters.requests == {200: LIMIT, 429: 1}


async def test_zero_turns_the_limit_off() -> None:
    site = Site(limit=0)
    assert {(await site.call("/api/stats")).status_code for _ in range(9)} == {200}
    assert site.rates.counts == {}


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/ui/"])
async def test_operators_and_the_page_are_not_counted(site: Site, path: str) -> None:
    assert (await site.call(path)).status_code == 200
    assert site.rates.counts == {}


async def test_while_the_store_is_away_answers_say_so_and_are_counted_here(site: Site) -> None:
    site.join()
    site.follower.current, site.rates.away = False, True
    answers = [await site.call("/api/devices") for _ in range(LIMIT + 1)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429]
    assert {answer.headers["x-rpn-stale"] for answer in answers} == {"1"}
    assert len(answers[0].json()["devices"]) == 1


async def test_a_store_that_fails_in_between_costs_no_answer(site: Site) -> None:
    site.rates.away = True
    answer = await site.call("/api/devices")
    assert answer.status_code == 200
    assert "x-rpn-stale" not in answer.headers


async def test_before_the_first_snapshot_there_is_no_answer(site: Site) -> None:
    site.follower.loaded = site.follower.current = False
    answer = await site.call("/api/devices")
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/ui/nowhere.js", 404, "NOT_FOUND"),
        ("GET", "/ui/../app.py", 404, "NOT_FOUND"),
        ("POST", "/api/devices", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/ws", 426, "UPGRADE_REQUIRED"),
        ("POST", "/ws", 426, "UPGRADE_REQUIRED"),
    ],
)
async def test_what_is_not_there_is_told_as_json(
    site: Site, method: str, path: str, status: int, code: str
) -> None:
    answer = await site.call(path, method)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_page_is_found_without_its_last_slash(site: Site) -> None:
    answer = await site.call("/ui")
    assert (answer.status_code, answer.headers["location"]) == (302, "ui/")
    assert (await site.call("/ui/")).status_code == 200


async def test_a_bug_is_told_as_one_and_no_more(site: Site) -> None:
    site.replica.devices = cast("Any", None)
    answer = await site.call("/api/devices")
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error", "code": "INTERNAL"}
