"""A page of another site, in a real browser, gets nothing out of a pool on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.support.cluster import Cluster, call

TRY = """
async (pool) => {
  const socket = await new Promise((told) => {
    const tried = new WebSocket(pool.replace("http", "ws") + "/ws");
    tried.onopen = () => told("open");
    tried.onclose = (event) => told(event.code);
  });
  const read = await fetch(pool + "/api/devices").then((answer) => answer.text(), () => "blocked");
  const post = { method: "POST", body: "{}", headers: { "Content-Type": "text/plain" } };
  const written = await fetch(pool + "/api/tasks", post).then((answer) => answer.text(), () => "blocked");
  return { socket, read, written };
}
"""


class Foreign(BaseHTTPRequestHandler):
    """Another site."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>another site</title>")

    def log_request(self, *args: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Foreign) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_page_of_another_site_cannot_talk_to_the_pool(
    browser: Any, cluster: Cluster, elsewhere: str
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(elsewhere)
    got = page.evaluate(TRY, cluster.urls[0])
    context.close()
    assert got == {"socket": 1006, "read": "blocked", "written": "blocked"}
    text = call(f"{cluster.urls[0]}/metrics").body.decode()
    assert 'rpn_gateway_errors_total{code="ORIGIN"} 2.0' in text
