"""The promises of `rpn health`: exit 0 when a gateway is ready, 1 when it is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from rpn.cli.health import health, ready_url


class Gateway(BaseHTTPRequestHandler):
    """Ready as long as its server says so."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" and getattr(self.server, "ready", True) else 404)
        self.end_headers()

    def log_request(self, *args: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: HTTPServer, **environ: str) -> Result:
    url = f"ws://127.0.0.1:{server.server_port}/ws"
    return CliRunner().invoke(health, ["--server", url], env=environ)


def test_a_ready_gateway_is_healthy(gateway: HTTPServer) -> None:
    result = ask(gateway)
    assert (result.exit_code, result.output.endswith("/readyz: ready\n")) == (0, True)


def test_a_draining_gateway_is_not(gateway: HTTPServer) -> None:
    gateway.ready = False  # type: ignore[attr-defined]
    result = ask(gateway)
    assert (result.exit_code, "not ready (HTTP 404)" in result.output) == (1, True)


def test_a_proxy_in_the_environment_is_not_asked(gateway: HTTPServer) -> None:
    assert ask(gateway, http_proxy="http://127.0.0.1:1").exit_code == 0


def test_nobody_there_is_not_healthy() -> None:
    result = CliRunner().invoke(health, ["--server", "http://127.0.0.1:1"])
    assert (result.exit_code, "no answer" in result.output) == (1, True)


@pytest.mark.parametrize("server", ["ws://h:1/ws", "http://h:1", "http://h:1/", "h:1"])
def test_a_gateway_may_be_named_in_any_common_way(server: str) -> None:
    assert ready_url(server) == "http://h:1/readyz"


def test_a_secured_gateway_is_asked_securely() -> None:
    assert ready_url("wss://h/ws") == "https://h/readyz"
