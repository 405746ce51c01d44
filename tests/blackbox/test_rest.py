"""API.md's REST routes: shapes to the letter, errors as promised."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from tests.blackbox.conftest import Pool
from tests.blackbox.shapes import POOL, RESOURCES, check, check_device, check_moment
from tests.support.cluster import call, wait_for
from tests.support.patience import PATIENCE_S
from tests.support.ws import GPU, Client, Message, about, fresh_id, resources

JSON = "application/json"


def test_the_root_says_what_this_is(pool: Pool) -> None:
    client = pool.join()
    answer = call(f"{client.base_url}/", accept=JSON)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(JSON)
    body = answer.json()
    check(body, {"service": str, "version": str, "devices": int, "status": str})
    assert (body["service"], body["version"], body["status"]) == (
        "Resource Pooling Network",
        "1.0.0",
        "online",
    )


def test_the_root_counts_the_whole_pool_at_every_gateway(pool: Pool) -> None:
    before = call(f"{pool.url}/").json()["devices"]
    for _ in range(3):
        pool.join()
    wait_for(
        lambda: all(call(f"{url}/").json()["devices"] == before + 3 for url in pool.urls),
        what="three more devices at every gateway",
    )


def test_a_browser_is_sent_to_the_page(pool: Pool) -> None:
    answer = call(f"{pool.url}/", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (answer.status, answer.headers["location"]) == (302, "ui/")
    assert "accept" in answer.headers["vary"].lower()
    page = call(f"{pool.url}/ui/", accept="text/html")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.across
def test_devices_are_listed_at_every_gateway_as_they_reported(pool: Pool) -> None:
    reported = resources(cpuUsage=45.5, cpuAvailable=54.5, **GPU)
    client = pool.connect()
    client.register(deviceName="Desktop PC", platform="windows")
    client.update(reported)
    client.expect("resource_update", about(client.device_id))
    listed = wait_for(lambda: _reported_everywhere(pool, client), what="the report")
    for device in listed:
        check_device(device)
        assert device["resources"] == reported
        assert (device["name"], device["platform"]) == ("Desktop PC", "windows")
        assert (ip_address(device["ipAddress"]).is_private, device["isOnline"]) == (True, True)
        check_moment(device["lastSeen"], within_s=PATIENCE_S)


def _reported_everywhere(pool: Pool, client: Client) -> list[Message] | None:
    """The device as each gateway lists it, once all of them list its report."""
    found = [pool.device(client.device_id, url) for url in pool.urls]
    listed = [device for device in found if device and device["resources"]["cpuCores"]]
    return listed if len(listed) == len(pool.urls) else None


def test_every_listed_device_has_exactly_the_keys_of_the_contract(pool: Pool) -> None:
    pool.join()
    body = call(f"{pool.url}/api/devices").json()
    assert body.keys() == {"devices"}
    for device in body["devices"]:
        check_device(device)


def test_a_device_shows_zeros_before_its_first_report(pool: Pool) -> None:
    client = pool.connect()
    listed = client.register()
    mine = next(device for device in listed if device["id"] == client.device_id)
    nothing = dict.fromkeys(RESOURCES, 0) | {"hasGPU": False, "gpuName": None, "gpuUsage": None}
    assert mine["resources"] == nothing


def test_the_pool_is_the_sum_of_its_devices(pool: Pool) -> None:
    first = pool.offer(cpuAvailable=54.5, **GPU)
    pool.offer(first, cpuAvailable=12.25, cpuCores=4)
    totals, listed = wait_for(lambda: _settled(pool), what="totals without a report in between")
    check(totals, POOL)

    def summed(key: str) -> Any:
        return sum(device["resources"][key] for device in listed)

    assert totals["totalCpuAvailable"] == pytest.approx(summed("cpuAvailable"))
    assert totals["totalCpuCores"] == pytest.approx(summed("cpuCores"))
    assert totals["totalMemoryAvailable"] == pytest.approx(summed("memoryAvailable"))
    assert totals["totalStorageAvailable"] == pytest.approx(summed("storageAvailable"))
    assert totals["totalGPUs"] == summed("hasGPU")
    assert totals["devices"] == len(listed)


def _settled(pool: Pool) -> tuple[Message, list[Message]] | None:
    """Totals and devices of one gateway, if nothing was reported between the two calls."""
    before = call(f"{pool.url}/api/resources").json()
    listed = call(f"{pool.url}/api/devices").json()["devices"]
    after = call(f"{pool.url}/api/resources").json()
    assert before.keys() == {"pool"}
    return (before["pool"], listed) if before == after else None


def test_statistics_hold_the_totals_and_whole_seconds(pool: Pool) -> None:
    pool.join()
    stats = call(f"{pool.url}/api/stats").json()
    check(stats, {"devices": int, "resources": dict, "uptime": int})
    check(stats["resources"], POOL)
    assert stats["devices"] == stats["resources"]["devices"]
    assert stats["uptime"] >= 0


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/api/devices/" + "x" * 8, "/ui/no-such-file"])
def test_what_is_not_there_is_404(pool: Pool, path: str) -> None:
    answer = call(f"{pool.url}{path}")
    assert answer.status == 404
    check(answer.json(), {"error": str, "code": str})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_405(pool: Pool, method: str) -> None:
    answer = call(f"{pool.url}/api/devices", method=method)
    assert answer.status == 405
    check(answer.json(), {"error": str, "code": str})


def test_the_health_routes_and_the_metrics_answer(pool: Pool) -> None:
    if not pool.shows_operators:
        pytest.skip("a load balancer keeps them from the public")
    for url in pool.urls:
        assert call(f"{url}/livez").status == 200
        assert call(f"{url}/readyz").status == 200
        metrics = call(f"{url}/metrics")
        assert metrics.status == 200
        assert metrics.headers["content-type"].startswith("text/plain")
        assert b"# TYPE rpn_" in metrics.body


def test_metrics_name_no_device(pool: Pool) -> None:
    if not pool.shows_operators:
        pytest.skip("a load balancer keeps them from the public")
    client = pool.join(fresh_id("secret"))
    assert client.device_id.encode() not in call(f"{client.base_url}/metrics").body


def test_a_page_of_another_site_changes_nothing(pool: Pool) -> None:
    answer = call(f"{pool.url}/api/devices", method="POST", origin="http://evil.example")
    assert (answer.status, answer.json()["code"]) == (403, "ORIGIN")
    check(answer.json(), {"error": str, "code": str})


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example"])
def test_we_answer_only_for_our_own_names(pool: Pool, host: str) -> None:
    answer = call(f"{pool.url}/api/devices", host=host)
    assert answer.status == 400
    check(answer.json(), {"error": str, "code": str})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:3000", "[::1]:3000", "192.168.1.20"])
def test_addresses_and_localhost_are_our_own_names(pool: Pool, host: str) -> None:
    assert call(f"{pool.url}/api/devices", host=host).status == 200
