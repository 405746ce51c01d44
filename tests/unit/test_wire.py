"""What comes in on a WebSocket reaches its receiver whole and in order, whichever way it is parsed."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol

from gateway.leaflet import LEAST, Leaflet
from gateway.ration import BYTES_IN_A_TURN
from gateway.server import MESSAGE_LIMIT
from gateway.wire import FRAGMENT_LIMIT, READ_AFTER_CLOSE, SLICE
from tests.support.plug import Plug, client_frame, plugged_in, wired

TEXT, BINARY, CONT, PING = Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING


async def test_texts_of_every_size_arrive_as_they_were_sent() -> None:
    plug = await plugged_in()
    texts = [b"x" * size for size in (0, 1, 125, 126, 127, 65_535, 65_536, MESSAGE_LIMIT)]
    for text in texts:
        plug.frame(TEXT, text)
    assert plug.heard.texts == texts


async def test_a_whole_text_does_not_visit_the_librarys_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    plug = await plugged_in()
    plug.frame(TEXT, b"the first may")
    monkeypatch.setattr(Protocol, "receive_data", lambda *_: pytest.fail("it did"))
    plug.feed(client_frame(TEXT, b"one") + client_frame(TEXT, b"t" * 200))
    assert plug.heard.texts == [b"the first may", b"one", b"t" * 200]


@pytest.mark.parametrize(
    "data",
    [
        client_frame(TEXT, b"a", fin=False) + client_frame(CONT, b"b"),
        client_frame(TEXT, b"x" * 70_000),
        client_frame(PING, b"?"),
        client_frame(BINARY, b"b"),
    ],
    ids=["fragments", "a long text", "a ping", "a binary message"],
)
async def test_after_anything_else_whole_texts_take_the_short_way_again(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug = await plugged_in()
    plug.feed(data)
    monkeypatch.setattr(Protocol, "receive_data", lambda *_: pytest.fail("it took the long one"))
    plug.frame(TEXT, b"next")
    assert plug.heard.texts[-1] == b"next"


async def test_a_text_within_a_fragmented_message_breaks_the_rules() -> None:
    plug = await plugged_in()
    plug.frame(TEXT, b"a", fin=False)
    plug.frame(TEXT, b"b")
    assert plug.heard.texts == []
    assert closed_with(plug) == 1002


async def test_a_text_that_is_not_masked_breaks_the_rules() -> None:
    plug = await plugged_in()
    plug.feed(Frame(TEXT, b"hello there").serialize(mask=False))
    assert plug.heard.texts == []
    assert closed_with(plug) == 1002


async def test_only_who_has_said_nothing_is_asked_whether_it_is_there() -> None:
    plug = await plugged_in()
    plug.frame(TEXT, b"I am")
    plug.wire.send_keepalive_ping()
    assert plug.transport.written == b""
    plug.wire.send_keepalive_ping()
    assert plug.transport.written[:1] == b"\x89"


@pytest.mark.parametrize("fin", [True, False])
async def test_text_that_is_not_utf_8_is_refused(fin: bool) -> None:
    plug = await plugged_in()
    plug.frame(TEXT, b"\xff", fin=fin)
    if not fin:
        plug.frame(CONT)
    assert plug.heard.texts == []
    assert closed_with(plug) == 1007


async def test_nothing_that_follows_our_close_is_heard() -> None:
    plug = await plugged_in()
    plug.wire.close(1008, "enough")
    plug.feed(client_frame(TEXT, b"one") + client_frame(TEXT, b"two"))
    assert plug.heard.texts == []


async def test_a_message_of_too_many_fragments_is_refused() -> None:
    plug = await plugged_in()
    plug.frame(TEXT, fin=False)
    plug.feed(client_frame(CONT, fin=False) * FRAGMENT_LIMIT)
    assert closed_with(plug) == 1009


async def test_what_breaks_the_rules_is_not_parsed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    plug, parsed = await plugged_in(), list[int]()
    receive_data = Protocol.receive_data

    def counting(protocol: Protocol, data: bytes) -> None:
        parsed.append(len(data))
        receive_data(protocol, data)

    monkeypatch.setattr(Protocol, "receive_data", counting)
    plug.frame(TEXT, fin=False)
    plug.feed(client_frame(CONT, fin=False) * 100_000)
    assert closed_with(plug) == 1009
    assert sum(parsed) <= READ_AFTER_CLOSE + 2 * SLICE


async def test_what_is_over_the_ration_of_a_turn_is_heard_in_the_next_ones_in_order() -> None:
    plug = await plugged_in()
    large = b"x" * 60_000
    count = BYTES_IN_A_TURN // len(large) + 1
    for _ in range(count):
        plug.frame(TEXT, large)
    plug.frame(TEXT, b"over")
    assert len(plug.heard.texts) == count
    assert not plug.transport.reading
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert plug.heard.texts[count:] == [b"over"]
    assert plug.transport.reading
    plug.frame(TEXT, b"next")
    assert plug.heard.texts[-1] == b"next"


async def test_who_is_gone_meanwhile_is_not_heard() -> None:
    plug = await plugged_in()
    plug.frame(TEXT, b"x" * 60_000)
    while plug.transport.reading:
        plug.frame(TEXT, b"x" * 60_000)
    heard = len(plug.heard.texts)
    plug.wire.connection_lost(ConnectionResetError())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(plug.heard.texts) == heard


words = st.tuples(
    st.sampled_from([TEXT, TEXT, TEXT, PING, BINARY]),
    st.sampled_from([0, 1, 7, 125, 126, 300]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, max_size=12), st.lists(st.integers(1, 400), max_size=30))
def test_it_does_not_matter_how_the_bytes_come(said: list[tuple[Opcode, int, bool]], cuts: list[int]) -> None:
    """However frames are cut, the receiver hears the same as from an unbroken stream."""
    data, texts, binaries = b"", list[bytes](), list[bytes]()
    for number, (opcode, size, halved) in enumerate(said):
        payload = b"%d" % (number % 10) * (size if opcode is not PING else min(size, 125))
        if opcode is not PING:
            (texts if opcode is TEXT else binaries).append(payload)
        data += _frames(opcode, payload, halved=halved and opcode is not PING)

    async def main() -> None:
        plug, rest = await plugged_in(), data
        for cut in [*cuts, len(data)]:
            if rest[:cut]:
                plug.feed(rest[:cut])
            rest = rest[cut:]
        assert (plug.heard.texts, plug.heard.binaries) == (texts, binaries)

    asyncio.run(main())


def _frames(opcode: Opcode, payload: bytes, *, halved: bool) -> bytes:
    if not halved:
        return client_frame(opcode, payload)
    half = len(payload) // 2
    return client_frame(opcode, payload[:half], fin=False) + client_frame(CONT, payload[half:])


def closed_with(plug: Plug) -> int:
    """The code of the close frame at the end of what was written."""
    head = plug.transport.written.index(b"\x88")
    return int.from_bytes(plug.transport.written[head + 2 : head + 4])


async def test_what_everybody_is_sent_keeps_its_place_among_other_writes() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Leaflet(b"a" * 8 * LEAST, 1000) as first, Leaflet(b"c" * 8 * LEAST, 1000) as second:
        wire = await wired(ours, theirs)
        wire.hand(first)
        wire.write(b"b")
        wire.hand(second)
        sent = first.frames + b"b" + second.frames
        reader, writer = await asyncio.open_connection(sock=theirs)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(sent)) == sent
        wire.transport.abort()
        writer.close()


async def test_a_wire_that_is_closed_is_handed_nothing() -> None:
    plug = await plugged_in()
    plug.wire.close(1001, "bye")
    said = plug.transport.written
    with Leaflet(b"a" * LEAST, 1000) as leaflet:
        plug.wire.hand(leaflet)
    assert plug.transport.written == said
