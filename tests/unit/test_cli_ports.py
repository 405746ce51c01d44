"""The promises of rpn.cli.ports: a taken port is told with its owner."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from rpn.cli.ports import free_ports
from rpn.errors import ServerFailed


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_any_free_ports_are_found_in_a_row() -> None:
    ports = free_ports("127.0.0.1", 0, 3)
    assert ports == [ports[0], ports[0] + 1, ports[0] + 2]


def test_a_taken_port_names_its_owner_and_the_way_out(taken: int) -> None:
    with pytest.raises(ServerFailed, match=rf"port {taken} is taken by .* \(pid {os.getpid()}\).*--port"):
        free_ports("127.0.0.1", taken, 1)


def test_every_port_of_the_row_is_looked_at() -> None:
    first, second = free_ports("127.0.0.1", 0, 2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", second))
        listener.listen()
        with pytest.raises(ServerFailed, match=f"port {second} is taken"):
            free_ports("127.0.0.1", first, 2)


def test_an_owner_whom_we_may_not_see_is_said_to_be_so(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.net_connections", lambda kind: [])
    with pytest.raises(ServerFailed, match="by a process that this user cannot see"):
        free_ports("127.0.0.1", taken, 1)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ServerFailed, match=r"cannot listen on 192\.0\.2\.1"):
        free_ports("192.0.2.1", 0, 1)


def test_there_are_no_ports_above_the_last() -> None:
    with pytest.raises(ServerFailed, match="there is no port 65536"):
        free_ports("127.0.0.1", 65535, 2)
