"""What a task wrote, as a result that a message can carry."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.frames import OUTPUT_LIMIT_KIB
from agent.output import LOG_LIMIT_KIB, LOG_TOTAL_KIB, Log, Telling, result_of
from agent.plan import OUTPUT
from tests.support.patience import PATIENCE_S


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
    log = Log(lambda telling: told.append(telling.log))
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
    log = Log(lambda telling: told.append(telling.log))
    log.data_received("ü".encode()[:1])
    log.data_received("ü".encode()[1:])
    log.connection_lost(None)
    assert "".join(told) == "ü"
    assert log.tail == "ü"


async def test_a_log_that_pauses_goes_on_by_itself() -> None:
    told: list[str] = []
    more = asyncio.Event()

    def tell(telling: Telling) -> None:
        told.append(telling.log)
        if len(told) == 2:
            more.set()

    log = Log(tell)
    log.data_received(b"one")
    log.data_received(b"two")
    await asyncio.wait_for(more.wait(), PATIENCE_S)
    assert told == ["one", "two"]
    log.connection_lost(None)


@pytest.mark.parametrize("cut", range(1, 40, 3))
async def test_a_line_that_marks_progress_is_no_log_wherever_it_is_cut(cut: int) -> None:
    told: list[Telling] = []
    log = Log(told.append)
    written = b"one\nRPN_PROGRESS 0.25\ntwo RPN_PROGRESS 1\nRPN_PROGRESS much\nRPN"
    log.data_received(written[:cut])
    log.data_received(written[cut:])
    log.connection_lost(None)
    assert [each.progress for each in told if each.progress is not None] == [0.25]
    assert "".join(each.log for each in told) == "one\ntwo RPN_PROGRESS 1\nRPN_PROGRESS much\nRPN"


async def test_a_log_has_an_end_and_says_so() -> None:
    told: list[Telling] = []
    log = Log(told.append)
    for _ in range(2 * LOG_TOTAL_KIB):
        log.data_received(b"x" * 1024)
    log.data_received(b"the last words")
    log.connection_lost(None)
    passed_on = "".join(each.log for each in told)
    assert passed_on.count("x") == LOG_TOTAL_KIB * 1024
    assert "not passed on" in passed_on
    assert log.tail.endswith("the last words")


@pytest.mark.parametrize(
    ("reads", "written", "result"),
    [("text", b"[1]", "[1]"), ("json", b"[1]", [1]), ("json", b"no", None), ("json", b"1" * 30, None)],
)
def test_an_owner_says_how_the_output_is_read(reads: Any, written: bytes, result: object) -> None:
    found = result_of(written, reads)
    assert (found.result, found.code) == (result, "" if result is not None else OUTPUT)
