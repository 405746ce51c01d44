"""The promises of `rpn up`: one command starts a whole pool, says what to do next, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from rpn.store.embedded.place import Place
from rpn.store.keys import Keys
from tests.support.cluster import Cluster, call, clean_environment, ready, running, wait_for, wait_gone
from tests.support.patience import PATIENCE_S

KEYS = Keys("default")
ROLES_OF_A_POOL = ["agent", "gateway", "gateway", "scheduler", "store"]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Cluster]:
    """A pool with two gateways; its end is checked: exit status 0, nothing left running."""
    with running(tmp_path / "data", gateways=2) as cluster:
        yield cluster


def roles(cluster: Cluster) -> list[str]:
    return [role for role in ("agent", "gateway", "scheduler", "store") for _ in cluster.of_role(role)]


def rpn_up(*arguments: str) -> subprocess.CompletedProcess[str]:
    """An `rpn up` that is expected to end by itself."""
    command = [sys.executable, "-P", "-m", "rpn.cli", "up", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, env=clean_environment({})
    )


def renewals(cluster: Cluster) -> int:
    """How often the store has heard from the gateway that was heard last, as that counts it."""
    with redis.Redis(unix_socket_path=str(Place(cluster.data_dir).socket)) as store:
        now = store.zrange(KEYS.gateways, -1, -1)
        told = store.hget(KEYS.batches, now[0]) if now else None
    return int(told.split()[0]) if told else 0


def test_one_command_starts_every_process_and_says_what_to_open(pool: Cluster) -> None:
    assert roles(pool) == ROLES_OF_A_POOL
    assert all(call(url).json()["status"] == "online" for url in pool.urls)
    wait_for(lambda: "Ctrl-C ends it" in pool.log.read_text(), what="the welcome")
    assert f"{pool.urls[0]}/" in pool.log.read_text()


def test_the_data_directory_is_refused_to_a_second_pool(pool: Cluster) -> None:
    assert pool.up is not None
    done = rpn_up("--port", "0", "--data-dir", str(pool.data_dir))
    assert done.returncode == 2
    assert f"in use by rpn up (pid {pool.up.pid})" in done.stderr


def test_a_taken_port_is_told_and_nothing_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = rpn_up("--port", str(port), "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"rpn: port {port} is taken by ")
    assert f"(pid {os.getpid()})" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_pool_that_is_started_again_has_nothing_to_warn_of(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path / "data") as cluster:
            wait_for(lambda: renewals(cluster) >= 3, what="a gateway that was there for a while")
    logged = "".join(log.read_text() for log in (tmp_path / "data" / "logs").iterdir())
    assert "INFO" in logged
    assert "WARNING" not in logged


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_works(tmp_path: Path) -> None:
    first = Cluster(tmp_path / "data").start()
    everyone = first.processes()
    first.end_hard(everyone[:1])
    wait_gone(everyone)
    with running(tmp_path / "data", first_port=first.first_port) as second:
        assert all(map(ready, second.urls))


def read_to_the_end(client: ClientConnection) -> None:
    while True:
        client.recv(timeout=PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clients_are_told_that_the_server_goes_away(tmp_path: Path, number: signal.Signals) -> None:
    cluster = Cluster(tmp_path / "data").start()
    everyone = cluster.processes()
    assert cluster.up is not None
    with connect(cluster.urls[0].replace("http", "ws") + "/ws") as client:
        cluster.up.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            read_to_the_end(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert cluster.up.wait(PATIENCE_S) == 0
    wait_gone(everyone)


@pytest.mark.chaos
@pytest.mark.parametrize("role", ["store", "gateway", "scheduler", "agent"])
def test_whatever_is_killed_comes_back(pool: Cluster, role: str) -> None:
    wait_gone([pool.kill(role)])
    wait_for(lambda: roles(pool) == ROLES_OF_A_POOL, what="all processes")
    wait_for(lambda: all(map(ready, pool.urls)), what="every gateway ready")
