"""What `rpn run` makes of the words behind a command."""

from __future__ import annotations

import io
from typing import Any

import click
import pytest

from rpn.cli.work import _data


@pytest.fixture(autouse=True)
def nothing_is_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


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
    monkeypatch.setattr("sys.stdin", io.StringIO("piped"))
    assert _data("render", ("frame=7",), {}, ())["input"] == "piped"
    monkeypatch.setattr("sys.stdin", io.StringIO("piped"))
    assert _data("echo", ("typed",), {}, ())["input"] == "typed"


def test_a_name_without_its_value_is_told() -> None:
    with pytest.raises(click.UsageError, match="--frame has no value"):
        _data("render", ("--frame",), {}, ())
