"""Which pool a machine joins that nobody told one: none without being told."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from rpn.cli import agent_search, lan, up
from rpn.cli.lan import Heard
from rpn.client import credential
from rpn.client.credential import Credential
from rpn.errors import BadSettings
from rpn.settings import UpSettings

DESK = Heard("desk", "10.0.0.5:3000", asks=True, tls=False)
SAFE = Heard("safe", "10.0.0.6:3000", asks=True, tls=True)
OPEN = Heard("open \x1b[31m", "10.0.0.7:3000", asks=False, tls=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pool on this machine, and nobody at the terminal."""
    monkeypatch.setattr(agent_search, "_somebody_listens_here", lambda: False)
    monkeypatch.setattr("sys.stdin", io.StringIO())


def hearing(monkeypatch: pytest.MonkeyPatch, *heard: Heard) -> None:
    async def look() -> list[Heard]:
        return list(heard)

    monkeypatch.setattr(lan, "installed", lambda: True)
    monkeypatch.setattr(lan, "look", look)


def answering(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(click, "confirm", lambda *said, **how: yes)


@pytest.mark.parametrize("name", ["RPN_SERVER", "RPN_TOKEN_FILE", "RPN_JOIN_TOKEN"])
def test_who_was_told_a_pool_is_not_lost(name: str, tmp_path: Path) -> None:
    assert agent_search.is_lost({}, tmp_path)
    assert not agent_search.is_lost({name: "x"}, tmp_path)


def test_who_has_joined_is_not_lost(tmp_path: Path) -> None:
    credential.keep(tmp_path, Credential("10.0.0.5:3000", "me", "token"))
    assert not agent_search.is_lost({}, tmp_path)


def test_who_has_a_pool_on_its_own_machine_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_search, "_somebody_listens_here", lambda: True)
    assert not agent_search.is_lost({}, tmp_path)


def test_where_nobody_tells_of_a_pool_the_settings_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hearing(monkeypatch)
    assert agent_search.server_for({}, str(tmp_path)) is None
    assert "waiting for a pool on this machine" in capsys.readouterr().err


def test_a_network_that_cannot_be_asked_tells_of_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def look() -> list[Heard]:
        raise OSError("no such device")

    hearing(monkeypatch)
    monkeypatch.setattr(lan, "look", look)
    assert agent_search.search() is None
    assert "cannot be asked: no such device" in capsys.readouterr().err


def test_where_nobody_sits_it_is_told_what_was_heard_and_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hearing(monkeypatch, DESK)
    assert agent_search.server_for({}, str(tmp_path)) is None
    assert "desk (10.0.0.5:3000) asks for tokens" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(BadSettings):
        agent_search.server_for({}, str(tmp_path))


def test_a_pool_that_asks_for_tokens_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    hearing(monkeypatch, DESK)
    with pytest.raises(BadSettings, match=r"`rpn agent join 10\.0\.0\.5:3000` here"):
        agent_search.search()


def test_an_open_pool_is_joined_only_if_somebody_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    hearing(monkeypatch, OPEN)
    with pytest.raises(BadSettings, match=r"name it: 10\.0\.0\.7:3000"):
        agent_search.search()
    answering(monkeypatch, yes=False)
    with pytest.raises(BadSettings):
        agent_search.search()
    answering(monkeypatch, yes=True)
    assert agent_search.search() == "10.0.0.7:3000"


def test_a_token_goes_to_nobody_who_is_not_agreed_on_or_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    hearing(monkeypatch, DESK)
    with pytest.raises(BadSettings, match="name it"):
        agent_search.search_to_join(pinned=True)
    answering(monkeypatch, yes=True)
    assert agent_search.search_to_join(pinned=False) == "10.0.0.5:3000"


def test_a_pin_speaks_for_a_pool_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    hearing(monkeypatch, SAFE)
    with pytest.raises(BadSettings, match="--pin"):
        agent_search.search_to_join(pinned=False)
    assert agent_search.search_to_join(pinned=True) == "https://10.0.0.6:3000"


def test_several_are_named_without_what_a_terminal_would_obey(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSettings) as caught:
        agent_search.the_one([DESK, OPEN])
    assert "desk (10.0.0.5:3000)" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_without_the_extra_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan, "installed", lambda: False)
    with pytest.raises(BadSettings, match=r"\[lan\]"):
        agent_search.search_to_join(pinned=False)


def test_lan_lets_the_network_in_by_token_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "require_lan_extra", lambda: None)
    for name in ("RPN_HOST", "RPN_AUTH"):
        monkeypatch.delenv(name, raising=False)
    settings, told = up._for_the_network(UpSettings(lan="yes"), {"host": None})
    assert (settings.host, told) == ("0.0.0.0", {"auth": "token"})
    settings, _ = up._for_the_network(UpSettings(lan="yes", host="10.0.0.5"), {"host": "10.0.0.5"})
    assert settings.host == "10.0.0.5"
    monkeypatch.setenv("RPN_AUTH", "open")
    assert up._for_the_network(UpSettings(lan="yes"), {"host": None})[1] == {}
    assert up._for_the_network(UpSettings(), {"host": None}) == (UpSettings(), {})
