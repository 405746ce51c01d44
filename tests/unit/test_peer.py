"""One client: when it lags, when it is stuck, and in which shape it gets what is addressed to it."""

from __future__ import annotations

import pytest

from gateway.frames import FRAME_LIMIT
from gateway.peer import BURST_FACTOR, BURST_S, Peer
from rpn.errors import NotJoined, RPNError, Silent, Superseded, WrongDevice
from tests.support import make
from tests.support.wire import FakeWire, decoded, peer_on

LIMIT = 1000
SLOW_S = 5.0


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire()


@pytest.fixture
def peer(wire: FakeWire) -> Peer:
    return peer_on(wire, outbox_limit=LIMIT)


def test_the_transport_tells_when_it_is_over_our_limit(peer: Peer, wire: FakeWire) -> None:
    assert wire.limit == LIMIT


def test_who_does_not_take_it_lags_from_the_limit_on(peer: Peer, wire: FakeWire) -> None:
    wire.takes = False
    peer.write(b"x" * LIMIT, 1)
    assert not peer.lagging
    peer.write(b"x", 2)
    assert peer.lagging


def test_who_took_everything_a_moment_ago_may_be_a_little_late(peer: Peer, wire: FakeWire) -> None:
    peer.write(b"x", 1)
    wire.takes = False
    peer.write(b"x" * BURST_FACTOR * LIMIT, 1 + BURST_S)
    assert not peer.lagging
    peer.write(b"x", 1 + BURST_S)
    assert peer.lagging


def test_who_takes_everything_between_two_writes_keeps_up(peer: Peer, wire: FakeWire) -> None:
    wire.takes = False
    for now_s in range(10):
        peer.write(b"x" * BURST_FACTOR * LIMIT, now_s)
        assert not peer.lagging
        wire.buffered = 0


def test_a_moment_is_soon_over(peer: Peer, wire: FakeWire) -> None:
    peer.write(b"x", 1)
    wire.takes = False
    peer.write(b"x" * (LIMIT + 1), 1)
    assert not peer.lagging
    peer.write(b"x", 1.1 + BURST_S)
    assert peer.lagging


def test_one_who_takes_a_little_is_not_stuck(peer: Peer, wire: FakeWire) -> None:
    wire.takes = False
    peer.write(b"x" * 2 * BURST_FACTOR * LIMIT, 0)
    for now_s in range(1, 30):
        wire.buffered -= 1
        assert not peer.stuck(now_s, SLOW_S)
    assert not peer.stuck(29 + SLOW_S, SLOW_S)
    assert peer.stuck(29.1 + SLOW_S, SLOW_S)


def test_one_who_does_not_lag_is_never_stuck(peer: Peer) -> None:
    assert not peer.stuck(1e9, SLOW_S)


def test_a_plain_client_gets_a_frame_a_message_and_others_a_list(wire: FakeWire) -> None:
    messages = [b'{"n":1}', b'{"n":2}']
    plain, agent = peer_on(FakeWire()), peer_on(wire)
    agent.session.enter(make.register(accepts=frozenset({"tasks"})))
    for each in (plain, agent):
        each.addressed = list(messages)
        assert each.write_addressed(0) == 2
        assert each.addressed == []
    assert wire.frames == [[{"n": 1}, {"n": 2}]]


def test_no_list_is_larger_than_a_frame_may_be(wire: FakeWire) -> None:
    agent = peer_on(wire)
    agent.session.enter(make.register(accepts=frozenset({"tasks"})))
    agent.addressed = [b'"' + b"x" * 100_000 + b'"'] * 12
    agent.write_addressed(0)
    sizes = [len(payload) for payload in decoded(b"".join(wire.written))]
    assert len(sizes) == 3
    assert max(sizes) <= FRAME_LIMIT


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (Superseded("a newer one"), (1008, "superseded")),
        (Silent("nothing heard"), (1008, "silent")),
        (NotJoined("no answer"), (1011, "no answer")),
        (ZeroDivisionError("secret"), (1011, "internal error")),
    ],
)
def test_a_close_says_why_in_one_word(
    peer: Peer, wire: FakeWire, error: RPNError, closed: tuple[int, str]
) -> None:
    peer.close(error)
    assert wire.closed == closed
    assert peer.gone


def test_a_refusal_is_told_at_once_with_the_id_of_the_request(peer: Peer, wire: FakeWire) -> None:
    peer.refuse(WrongDevice("not yours"), "r1")
    peer.refuse(WrongDevice("not yours"), None)
    told = {"type": "error", "error": "not yours", "code": "WRONG_DEVICE"}
    assert wire.messages == [{**told, "requestId": "r1"}, told]
