"""Ready-made frames are what a WebSocket parser reads (RFC 6455)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.frames import FRAME_LIMIT, list_frames, text_frame
from tests.support.wire import decoded


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000])
def test_a_frame_of_any_length_is_read_back(size: int) -> None:
    payload = b"x" * size
    assert decoded(text_frame(payload)) == [payload]


@pytest.mark.parametrize(("size", "header"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_the_length_takes_as_few_bytes_as_it_can(size: int, header: int) -> None:
    assert len(text_frame(b"x" * size)) == size + header


def test_frames_stand_in_a_row() -> None:
    assert decoded(b"".join(map(text_frame, [b"one", b"two", b""]))) == [b"one", b"two", b""]


def test_a_message_alone_is_no_list() -> None:
    assert decoded(list_frames([b'{"a":1}'])) == [b'{"a":1}']
    assert decoded(list_frames([b"1", b"2"])) == [b"[1,2]"]


sizes = st.integers(2, 1000) | st.integers(2, FRAME_LIMIT) | st.sampled_from([FRAME_LIMIT, FRAME_LIMIT - 5])


@settings(max_examples=40)
@given(st.lists(sizes, min_size=1, max_size=12))
def test_lists_stay_under_the_limit_and_keep_every_message_in_order(lengths: list[int]) -> None:
    payloads = [b'"' + bytes([97 + index]) * (size - 2) + b'"' for index, size in enumerate(lengths)]
    frames = decoded(list_frames(payloads))
    assert max(map(len, frames)) <= FRAME_LIMIT
    found = [each for frame in frames for each in as_list(json.loads(frame))]
    assert found == [json.loads(payload) for payload in payloads]


def test_a_list_is_filled_to_the_last_byte() -> None:
    half = b"1" * ((FRAME_LIMIT - 3) // 2)
    assert len(decoded(list_frames([half, half]))) == 1
    assert len(decoded(list_frames([half, half + b"11"]))) == 2


def test_a_message_over_the_limit_goes_alone() -> None:
    frames = decoded(list_frames([b"1", b"2" * (FRAME_LIMIT + 1), b"3"]))
    assert [len(frame) for frame in frames] == [1, FRAME_LIMIT + 1, 1]


def as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
