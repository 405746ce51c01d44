"""What a task wrote, as a result that a message can carry."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.output import LOG_LIMIT_KIB, OUTPUT, OUTPUT_LIMIT_KIB, Log, result_of


@given(st.binary(max_size=2000))
def test_whatever_was_written_becomes_a_result_that_can_be_sent(written: bytes) -> None:
    found = result_of(written)
    assert found.success
    assert msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("written", "result"),
    [
        (b'{"a": [1, 2.5, null]}\n', {"a": [1, 2.5, None]}),
        (b"hello\n", "hello\n"),
        (b"", ""),
        (b"NaN", "NaN"),
        (b"caf\xff", "caf�"),
        (b'"\\ud800"', '"\\ud800"'),
        (b"1" * 5000, "1" * 5000),
        (b"[" * 5000, "[" * 5000),
        (b"[" * 5000 + b"]" * 5000, "[" * 5000 + "]" * 5000),
    ],
)
def test_json_is_read_and_anything_else_is_text(written: bytes, result: object) -> None:
    assert result_of(written).result == result


def test_what_grows_too_large_on_the_wire_is_too_much() -> None:
    assert result_of(b"\x00" * 1024 * (OUTPUT_LIMIT_KIB // 2)).code == OUTPUT


async def test_a_flood_is_told_in_few_pieces_of_bounded_size() -> None:
    told: list[str] = []
    log = Log(told.append)
    for _ in range(50):
        log.data_received(b"x" * 4096)
    log.connection_lost(None)
    await log.ended
    assert told[0] == "x" * 4096
    assert sum(map(len, told)) == 50 * 4096
    assert len(told) == 5
    assert all(len(piece) <= LOG_LIMIT_KIB * 1024 for piece in told)


async def test_a_character_cut_in_two_is_put_together() -> None:
    told: list[str] = []
    log = Log(told.append)
    log.data_received("ü".encode()[:1])
    log.data_received("ü".encode()[1:])
    log.connection_lost(None)
    assert "".join(told) == "ü"
    assert log.tail == "ü"


async def test_a_log_that_pauses_goes_on_by_itself() -> None:
    told: list[str] = []
    more = asyncio.Event()

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 2:
            more.set()

    log = Log(tell)
    log.data_received(b"one")
    log.data_received(b"two")
    await asyncio.wait_for(more.wait(), 5)
    assert told == ["one", "two"]
    log.connection_lost(None)
