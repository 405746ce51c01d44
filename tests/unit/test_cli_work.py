"""What `rpn run` makes of the words behind a command."""

from __future__ import annotations

import io
from typing import Any

import click
import pytest

from rpn.cli.work import _data


@pytest.fixture(autouse=True)
def nothing_is_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"")


def pipe_in(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (("primes", '{"n": 3}'), {"input": {"n": 3}}),
        (("echo", "size=3", "--now"), {"input": "size=3 --now"}),
        (("render", "--frame", "7", "--size=2=3"), {"args": {"frame": "7", "size": "2=3"}}),
        (("render", "frame=7", "a", "b"), {"args": {"frame": "7"}, "input": "a b"}),
        (("render",), {}),
    ],
)
def test_what_names_a_place_fills_it_and_the_rest_is_input(
    words: tuple[str, ...], data: dict[str, Any]
) -> None:
    command, *rest = words
    assert _data(command, tuple(rest), {}, ()) == {"command": command} | data


def test_what_is_piped_in_is_the_input_unless_one_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"piped")
    assert _data("render", ("frame=7",), {}, ())["input"] == "piped"
    pipe_in(monkeypatch, b"piped")
    assert _data("echo", ("typed",), {}, ())["input"] == "typed"


def test_what_is_piped_in_and_is_no_text_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"\xff\xfe")
    with pytest.raises(click.UsageError, match="no UTF-8: give it as a file"):
        _data("sha256", (), {}, ())


@pytest.mark.parametrize("said", ["NaN", "-Infinity", "[1, NaN]", "five apples"])
def test_what_is_no_json_is_a_text(said: str) -> None:
    assert _data("echo", (said,), {}, ())["input"] == said


@pytest.mark.parametrize(("said", "told"), [("[1e400]", "number that is too large"), ("\udcff", "no UTF-8")])
def test_what_no_message_can_hold_is_told(said: str, told: str) -> None:
    with pytest.raises(click.UsageError, match=told):
        _data("echo", (said,), {}, ())


def test_a_name_without_its_value_is_told() -> None:
    with pytest.raises(click.UsageError, match="--frame has no value"):
        _data("render", ("--frame",), {}, ())
