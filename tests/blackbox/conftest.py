"""The pools that the suite of API.md runs against: one gateway, and three with the clients spread."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.blackbox.shapes import check_message
from tests.support.cluster import call, device_ids, running, wait_for
from tests.support.ws import Client, Message, about, joins, resources

GIVEN_URLS = "RPN_BLACKBOX_URLS"
"""Names servers that run already, comma-separated; the suite then starts none."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "across: runs with several gateways in `make test` too")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "servers" not in metafunc.fixturenames:
        return
    if os.environ.get(GIVEN_URLS):
        variants = [pytest.param(0, id="given")]
    else:
        across = metafunc.definition.get_closest_marker("across") is not None
        later = () if across else (pytest.mark.slow,)
        variants = [pytest.param(1, id="one-gateway"), pytest.param(3, id="three-gateways", marks=later)]
    metafunc.parametrize("servers", variants, indirect=True, scope="session")


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Base addresses of the gateways of one running pool."""
    if not request.param:
        yield os.environ[GIVEN_URLS].split(",")
        return
    data_dir = tmp_path_factory.mktemp("pool") / "data"
    with running(data_dir, gateways=request.param) as cluster:
        yield cluster.urls


class Pool:
    """A running pool as its clients see it; connections go to its gateways in turn."""

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self._next = itertools.cycle(urls)
        self.clients: list[Client] = []

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def shows_operators(self) -> bool:
        """Whether health and metrics are open here: a load balancer keeps them from the public."""
        return call(f"{self.url}/livez").status != 404

    def connect(self, device_id: str = "", **more: Any) -> Client:
        client = Client(next(self._next), device_id=device_id, **more)
        self.clients.append(client)
        return client

    def join(self, device_id: str = "", **more: Any) -> Client:
        """A registered client, past its `devices` list."""
        client = self.connect(device_id)
        client.register(**more)
        return client

    def offer(self, seen_by: Client | None = None, **changes: Any) -> Client:
        """A registered client that has reported what it has, and `seen_by` has heard it."""
        device = self.join()
        device.update(resources(**changes))
        for witness in filter(None, (device, seen_by)):
            witness.expect("resource_update", about(device.device_id))
        return device

    def together(self, *clients: Client) -> None:
        """Wait until each of these has heard of all others that came after it."""
        for i, client in enumerate(clients):
            for later in clients[i + 1 :]:
                client.expect("device_joined", joins(later.device_id))

    def device(self, device_id: str, url: str = "") -> Message | None:
        """A device as REST shows it."""
        listed = call(f"{url or self.url}/api/devices").json()["devices"]
        return next((device for device in listed if device["id"] == device_id), None)

    def check_what_was_heard(self) -> None:
        """Plain clients heard only API.md's messages, and nobody heard of its own arrival."""
        for client in self.clients:
            for message in client.listen():
                if client.plain:
                    check_message(message)
                if message["type"] == "device_joined":
                    assert message["device"]["id"] != client.device_id, message

    def empty(self) -> None:
        """Everybody leaves, and every gateway has noticed."""
        for client in self.clients:
            client.close()
        ours = {client.device_id for client in self.clients}
        wait_for(
            lambda: not any(device_ids(url) & ours for url in self.urls),
            what="the test's devices have left the pool",
        )


@pytest.fixture
def pool(servers: list[str]) -> Iterator[Pool]:
    """A pool without devices of other tests; what its clients heard is checked at the end."""
    pool = Pool(servers)
    try:
        yield pool
        pool.check_what_was_heard()
    finally:
        pool.empty()
