"""Frames: how messages are joined to them, and taken out of them."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rpn.client.connection import decode, frames
from rpn.messages import Acked, DeviceLeft


@given(st.lists(st.integers(1, 3000).map(lambda size: msgspec.json.encode("x" * size)), max_size=20))
def test_joining_keeps_every_message_and_the_order(messages: list[bytes]) -> None:
    found = []
    for frame in frames(messages, limit_kib=2):
        content = msgspec.json.decode(frame)
        found += content if isinstance(content, list) else [content]
    assert [msgspec.json.encode(message) for message in found] == messages


@given(st.lists(st.integers(1, 900).map(lambda size: msgspec.json.encode("x" * size)), max_size=20))
def test_a_joined_frame_stays_within_the_limit(messages: list[bytes]) -> None:
    assert all(len(frame) <= 1024 + 2 for frame in frames(messages, limit_kib=1))


def test_one_message_goes_as_it_is() -> None:
    assert list(frames([b'{"type":"heartbeat"}'])) == [b'{"type":"heartbeat"}']


def test_a_list_of_messages_is_read_in_order() -> None:
    frame = b'[{"type":"ack","ids":["a"]},{"type":"device_left","deviceId":"d"}]'
    assert decode(frame) == [Acked(ids=["a"]), DeviceLeft(device_id="d")]


def test_a_message_of_an_unknown_kind_hides_no_other() -> None:
    frame = b'[{"type":"from_the_future"},{"type":"ack","ids":["a"]}]'
    assert decode(frame) == [Acked(ids=["a"])]


def test_nonsense_is_no_message() -> None:
    assert decode(b"{") == decode(b"\xff") == decode(b'{"type":"from_the_future"}') == []
