"""The limits an operator sets: rate, devices, silence, and connections that never register."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.blackbox.shapes import check
from tests.support.cluster import Cluster, call, device_ids, running, wait_for
from tests.support.ws import Client, about, fresh_id, resources

SILENCE_LIMIT_S = 7
REST_RATE_LIMIT = 5
DEVICE_LIMIT = 3


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways whose limits a test can reach."""
    with running(
        tmp_path_factory.mktemp("limited") / "data",
        gateways=2,
        RPN_DEVICE_LIMIT=DEVICE_LIMIT,
        RPN_SILENCE_LIMIT_S=SILENCE_LIMIT_S,
        RPN_REGISTER_LIMIT_S=1,
    ) as cluster:
        yield cluster


@pytest.fixture
def gone(limited: Cluster) -> Iterator[list[Client]]:
    """Clients that are closed, and out of the pool, when the test is over."""
    clients: list[Client] = []
    yield clients
    ids = {client.device_id for client in clients}
    for client in clients:
        client.close()
    wait_for(lambda: not any(device_ids(url) & ids for url in limited.urls), what="everybody left")


@pytest.mark.slow
def test_one_address_may_ask_so_often_over_all_gateways(tmp_path_factory: pytest.TempPathFactory) -> None:
    data_dir = tmp_path_factory.mktemp("rated") / "data"
    with running(data_dir, gateways=2, RPN_REST_RATE_LIMIT=REST_RATE_LIMIT) as cluster:
        paths = ["/", "/api/devices", "/api/resources", "/api/stats", "/api/devices"]
        for i, path in enumerate(paths):
            assert call(f"{cluster.urls[i % 2]}{path}").status == 200
        for url in cluster.urls:
            refused = call(f"{url}/api/devices")
            assert refused.status == 429
            body = refused.json()
            check(body, {"error": str, "code": str})
            assert body["code"] == "RATE_LIMITED"
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            for free in ("/livez", "/readyz", "/metrics", "/ui/"):
                assert call(f"{url}{free}").status == 200


def test_a_full_gateway_takes_no_more_devices(limited: Cluster, gone: list[Client]) -> None:
    url = limited.urls[0]
    for _ in range(DEVICE_LIMIT + 1):  # the agent may be one of them
        client = Client(url)
        gone.append(client)
        _let_in(client)
    turned_away = [client for client in gone if client.of_kind("error")]
    assert [client.expect_error()["code"] for client in turned_away] == ["DEVICE_LIMIT"] * len(turned_away)
    assert 1 <= len(turned_away) <= 2
    inside = next(client for client in gone if client not in turned_away)
    inside.register(deviceName="again")
    assert not inside.of_kind("error"), "a device inside may register again"
    inside.close()
    wait_for(lambda: _taken(url, gone), what="a place for the next device")


def _taken(url: str, gone: list[Client]) -> bool:
    client = Client(url)
    gone.append(client)
    return _let_in(client)


def _let_in(client: Client) -> bool:
    """Whether it may register here; who may not is closed."""
    client.register(answered=False)
    answer = wait_for(lambda: client.of_kind("devices", "error"), what="an answer to `register`")[0]
    return bool(answer["type"] == "devices")


def test_who_says_nothing_is_closed(limited: Cluster) -> None:
    for first in ("", "{"):
        started = time.monotonic()
        stranger = Client(limited.urls[1])
        if first:
            stranger.send_raw(first)
        assert stranger.expect_close()[0] == 1008
        assert time.monotonic() - started > 0.8


@pytest.mark.slow
def test_a_silent_device_is_closed_and_left_and_a_heartbeat_keeps(
    limited: Cluster, gone: list[Client]
) -> None:
    witness, silent = Client(limited.urls[1]), Client(limited.urls[0], device_id=fresh_id("silent"))
    gone += [witness, silent]
    witness.register()
    silent.register()
    started = time.monotonic()
    silent.update(resources())
    wait_for(lambda: _left(witness), what="the silent device left")
    assert time.monotonic() - started >= SILENCE_LIMIT_S
    witness.expect("device_left", about(silent.device_id), within_s=0)
    assert silent.expect_close()[0] == 1008
    assert witness.device_id in device_ids(limited.urls[0])


def _left(witness: Client) -> bool:
    """Whether somebody has left, as one hears who lives."""
    witness.heartbeat()
    witness.listen(0.5)
    return bool(witness.of_kind("device_left"))
