"""A gateway that is killed: the page says so, comes back by itself, and shows what is true then."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.browser.devices import FakeDevice
from tests.support.cluster import Cluster, call, ready, running, wait_for
from tests.support.ports import free_ports

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
BALANCER = """
global
    stats socket {socket} level admin
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout tunnel 90s
frontend public
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
    retries 4
    option redispatch 1
    retry-on conn-failure empty-response 503
    default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""
WORDS = """
window.heard = [];
addEventListener("DOMContentLoaded", () => {
  const words = document.getElementById("link-words");
  const hear = () => window.heard.push(words.textContent);
  new MutationObserver(hear).observe(words, { childList: true, subtree: true });
});
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("returns") / "data", gateways=2) as started:
        yield started


@pytest.fixture
def balancer(cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """HAProxy before both gateways."""
    if HAPROXY is None:
        pytest.skip("no HAProxy here (apt install haproxy)")
    [port], written = free_ports(1), tmp_path / "haproxy.cfg"
    servers = [f"    server g{n} {url.removeprefix('http://')}" for n, url in enumerate(cluster.urls)]
    socket = tmp_path / "admin.sock"
    written.write_text(BALANCER.format(port=port, socket=socket, servers="\n".join(servers)))
    with subprocess.Popen([HAPROXY, "-q", "-db", "-f", str(written)]) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: ready(url), what="HAProxy before its gateways")
        yield url
        process.terminate()


def kill_gateway(cluster: Cluster, url: str) -> None:
    """kill -9 the gateway of this address."""
    port = int(url.rpartition(":")[2])
    holder = next(each for each in cluster.of_role("gateway") if _listens(each, port))
    holder.kill()


def _observers(url: str) -> bool:
    metrics = call(f"{url}/metrics").body.decode()
    return bool(re.search(r'rpn_gateway_connections\{kind="observer"\} [1-9]', metrics))


def _listens(process: Any, port: int) -> bool:
    return any(each.laddr.port == port for each in process.net_connections() if each.status == "LISTEN")


def returns(viewer: Viewer, cluster: Cluster) -> None:
    """Killed, said, back, and true; the document is the same one as before."""
    page = viewer.page
    viewer.forgiven = re.compile(r"WebSocket|Failed to load resource|ERR_CONNECTION")
    its, another = sorted(cluster.urls, key=_observers, reverse=True)
    with FakeDevice(another, "stays", "Stays", cpuUsage=10, cpuAvailable=90) as device:
        expect(viewer.card("stays")).to_be_visible()
        page.evaluate("window.sameDocument = true; window.heard.length = 0")
        kill_gateway(cluster, its)
        said = "window.heard.some((words) => /reconnecting/.test(words))"
        wait_for(lambda: page.evaluate(said), what="words about the lost connection")
        viewer.expect_words("^live")
        device.report(cpuUsage=60, cpuAvailable=40)
        expect(viewer.card("stays").locator(".card-load")).to_have_text("60 %")
        assert page.evaluate("window.sameDocument")
    expect(viewer.card("stays")).to_have_count(0)
    page.keyboard.press("4")
    expect(page.locator(".events")).to_contain_text("This page lost its connection")
    expect(page.locator(".events")).to_contain_text("This page is connected again")
    wait_for(lambda: all(map(ready, cluster.urls)), what="every gateway ready")


def test_it_comes_back_to_the_gateway_that_is_started_again_on_its_port(
    viewer: Viewer, cluster: Cluster
) -> None:
    viewer.page.add_init_script(WORDS)
    viewer.go()
    returns(viewer, cluster)


def test_it_comes_back_to_another_gateway_behind_a_balancer(
    viewer: Viewer, cluster: Cluster, balancer: str
) -> None:
    viewer.page.add_init_script(WORDS)
    viewer.url = balancer
    viewer.go()
    returns(viewer, cluster)


def test_what_is_not_live_does_not_look_alive(viewer: Viewer) -> None:
    page = viewer.go()
    page.evaluate("rpn._source.stop()")
    page.evaluate("rpn.tell({type: 'link', state: {name: 'waiting', untilMs: Date.now() + 3e4}})")
    expect(page.locator("#notice")).to_contain_text("No connection to the pool since")
    expect(page.locator("#meter-cpu .meter-name")).to_have_text(re.compile(r"^CPU, as of \d\d:\d\d:\d\d$"))
    expect(page.locator("html")).to_have_attribute("data-link", "away")
    viewer.expect_words(r"^reconnecting in \d+ s$")
    page.evaluate("rpn.tell({type: 'link', state: {name: 'live', latencyMs: 3}})")
    page.evaluate("rpn.tell({type: 'stale', stale: true})")
    viewer.expect_words(r"^stale since \d\d:\d\d$")
