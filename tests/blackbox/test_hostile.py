"""Clients that mean harm: each is closed soon, costs little memory, and nobody else notices."""

from __future__ import annotations

import contextlib
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from websockets.frames import Frame, Opcode

from tests.support.cluster import Cluster, call, running
from tests.support.ws import Client

pytestmark = pytest.mark.slow

GROWTH_LIMIT = 4 * 1024 * 1024
PATIENCE_S = 20
"""a gateway closes them within 6 s; this is for a busy machine"""
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("hostile") / "data") as cluster:
        yield cluster


def opened(wire: socket.socket) -> socket.socket:
    """A WebSocket."""
    wire.sendall(HANDSHAKE)
    assert wire.recv(4096).startswith(b"HTTP/1.1 101")
    return wire


def compressed_bomb(wire: socket.socket) -> None:
    """15 KB that unpack to 15 MB."""
    compress = zlib.compressobj(wbits=-15)
    data = compress.compress(bytes(15_000_000)) + compress.flush()
    frame = bytearray(Frame(Opcode.TEXT, data).serialize(mask=True))
    frame[0] |= 0x40  # compressed, it says
    opened(wire).sendall(frame)


def endless_header(wire: socket.socket) -> None:
    """A head of 200 MB."""
    wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    for _ in range(200):
        wire.sendall(b"x" * 1_000_000)


def half_handshake(wire: socket.socket) -> None:
    """It begins, and then nothing comes."""
    wire.sendall(HANDSHAKE[:60])


def byte_by_byte(wire: socket.socket) -> None:
    """One byte a second."""
    for byte in HANDSHAKE[:PATIENCE_S]:
        wire.sendall(bytes([byte]))
        time.sleep(1)


def empty_fragments(wire: socket.socket) -> None:
    """A message of a million fragments with nothing in them."""
    opened(wire).sendall(Frame(Opcode.TEXT, b"", fin=False).serialize(mask=True))
    many = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True) * 10_000
    for _ in range(100):
        wire.sendall(many)


ATTACKS = [compressed_bomb, endless_header, half_handshake, byte_by_byte, empty_fragments]


def until_closed(url: str, attack: Callable[[socket.socket], None]) -> None:
    """Do this until the connection is closed, which sending on may be told as an error."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as wire:
        with contextlib.suppress(ConnectionError):
            attack(wire)
        with contextlib.suppress(ConnectionError):
            while wire.recv(65_536):
                pass


def test_each_is_closed_and_together_they_cost_little(pool: Cluster) -> None:
    [url], [gateway] = pool.urls, pool.of_role("gateway")
    until_closed(url, compressed_bomb)  # what is loaded once
    before = gateway.memory_info().rss
    with ThreadPoolExecutor(len(ATTACKS)) as attackers:
        list(attackers.map(lambda attack: until_closed(url, attack), ATTACKS))
    assert gateway.memory_info().rss - before < GROWTH_LIMIT
    bystander = Client(url)
    bystander.register()
    bystander.close()
    assert call(f"{url}/livez").status == 200
