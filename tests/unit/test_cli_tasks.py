"""What people see of a task that runs, and of one that failed."""

from __future__ import annotations

import pytest

from rpn.cli.explain import outcome
from rpn.cli.tasks import _news


def test_a_failure_of_several_lines_is_shown_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    outcome({"code": "EXIT", "error": "exit code 7\noops\x1b[2J"})
    assert capsys.readouterr().err == "EXIT: exit code 7\noops\N{REPLACEMENT CHARACTER}[2J\n"


@pytest.mark.parametrize(
    ("shown", "tail", "news"),
    [("", "abc", "abc"), ("ab", "abc", "c"), ("abc", "bcd", "d"), ("abc", "xyz", "xyz"), ("abc", "abc", "")],
)
def test_a_followed_log_shows_each_piece_once(shown: str, tail: str, news: str) -> None:
    assert _news(shown, tail) == news
