"""What many are sent arrives whole and in its place, whether the kernel sends it from a file or not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from gateway.leaflet import LEAST, READERS_LEAST, Leaflet

FRAMES = bytes(range(256)) * (8 * LEAST // 256)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LEAST)
        yield ours, theirs


def received(theirs: socket.socket, size: int) -> bytes:
    return theirs.recv(size, socket.MSG_WAITALL)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there are no files in memory here")
def test_what_the_socket_did_not_take_is_answered(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    with Leaflet(FRAMES, READERS_LEAST) as leaflet:
        rest = leaflet.send(ours.fileno())
        again = leaflet.send(ours.fileno())
    taken = len(FRAMES) - len(rest)
    assert 0 < taken < len(FRAMES)
    assert received(theirs, taken) + bytes(rest) == FRAMES  # though the leaflet is over
    assert bytes(again) == FRAMES


def test_where_no_file_is_to_be_had_everything_is_left_to_write(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", refused, raising=False)
    with Leaflet(FRAMES, READERS_LEAST) as leaflet:
        assert leaflet.send(sockets[0].fileno()) is FRAMES


@pytest.mark.parametrize(
    ("frames", "readers"),
    [(FRAMES[: LEAST - 1], 1000), (FRAMES, READERS_LEAST - 1)],
    ids=["small", "for few"],
)
def test_a_file_is_made_only_where_it_pays(
    sockets: tuple[socket.socket, socket.socket], frames: bytes, readers: int
) -> None:
    with Leaflet(frames, readers) as leaflet:
        assert leaflet.send(sockets[0].fileno()) is frames


def test_a_broken_socket_takes_nothing_and_harms_nobody(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    theirs.close()
    with Leaflet(FRAMES, READERS_LEAST) as leaflet:
        assert leaflet.send(ours.fileno()) is FRAMES
