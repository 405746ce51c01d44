"""What a process says about itself."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from rpn.observe import configure_logging
from rpn.settings import Settings
from rpn.tokens import TICKET_PREFIX, TokenKind, make_token


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Where the log goes; the test's own logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_people_get_lines(said: io.StringIO) -> None:
    configure_logging(Settings(), stream=said)
    logging.getLogger("gateway.hub").info("closing %s", 1008)
    assert said.getvalue().endswith(" INFO    gateway.hub: closing 1008\n")


def test_programs_get_one_object_a_line(said: io.StringIO) -> None:
    configure_logging(Settings(log_format="json"), stream=said)
    logging.getLogger("gateway").warning("two\nlines")
    (line,) = said.getvalue().splitlines()
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("warning", "gateway", "two\nlines")
    assert "error" not in found


def test_an_error_comes_with_its_trace(said: io.StringIO) -> None:
    configure_logging(Settings(log_format="json"), stream=said)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("gateway").exception("failed")
    assert "ValueError: boom" in json.loads(said.getvalue())["error"]


def test_what_lies_below_the_level_is_not_said(said: io.StringIO) -> None:
    configure_logging(Settings(log_level="error"), stream=said)
    logging.getLogger("gateway").warning("never mind")
    assert said.getvalue() == ""


def test_configuring_twice_says_everything_once(said: io.StringIO) -> None:
    configure_logging(Settings(), stream=said)
    configure_logging(Settings(), stream=said)
    logging.getLogger("gateway").info("once")
    assert said.getvalue().count("once") == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_written_down_whatever_a_message_or_an_error_holds(
    said: io.StringIO, form: Literal["text", "json"]
) -> None:
    configure_logging(Settings(log_format=form), stream=said)
    token, ticket = make_token(TokenKind.ADMIN), f"{TICKET_PREFIX}cafe"
    try:
        raise ValueError(f"cannot use {token.text}")
    except ValueError:
        logging.getLogger("gateway").exception("from %s with %s", token.text, ticket)
    assert f"rpn_admin_{token.id}_..." in said.getvalue()
    assert "cafe" not in said.getvalue()
    assert token.text not in said.getvalue()
