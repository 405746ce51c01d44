"""The promises of rpn.cli.terminal: plain text for programs and for who wants it, colour for the rest."""

from __future__ import annotations

import io
import sys

import pytest

from rpn.cli.terminal import NAME_WIDTH, Terminal

RECORD = '{"level":"warning","message":"oh"}'


class Screen(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
    """What a person sees of a child's line."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm", **environ}.items():
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as during:
        screen = Screen()
        during.setattr(sys, "stderr", screen)
        Terminal().child("gateway", "oh")
    return screen.getvalue()


def test_a_person_sees_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in shown(monkeypatch)


@pytest.mark.parametrize("wish", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_sees_none(monkeypatch: pytest.MonkeyPatch, wish: dict[str, str]) -> None:
    assert shown(monkeypatch, **wish) == f"{'gateway':<{NAME_WIDTH}}oh\n"


def test_a_file_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say("ended")
    assert capsys.readouterr().err == f"{'rpn up':<{NAME_WIDTH}}ended\n"


def test_records_for_programs_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(json_lines=True).child("gateway", RECORD)
    assert capsys.readouterr().err == f"{RECORD}\n"


def test_the_welcome_puts_what_to_type_beside_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().welcome("1.2", [("Open", ["http://h/"]), ("Ask", ["curl a", "curl b"])])
    said = capsys.readouterr().out.splitlines()
    assert said[3:6] == ["  Open   http://h/", "  Ask    curl a", "         curl b"]


def test_nobody_listening_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    Terminal().say("still here")
