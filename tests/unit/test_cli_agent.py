"""What an owner types: times, policies, and what a platform is told to keep an agent running."""

from __future__ import annotations

import plistlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rpn.cli.agent import agent
from rpn.cli.agent_words import changes
from rpn.cli.services import service, systemd_unit
from rpn.cli.times import duration_s, moment
from rpn.errors import NoAgent, ServerFailed

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "s"), [("90s", 90), ("45m", 2700), ("1h30m", 5400), ("2d", 172800), ("0.5h", 1800)]
)
def test_durations(text: str, s: float) -> None:
    assert duration_s(text) == s


@pytest.mark.parametrize("text", ["", "1", "h", "1 h", "1x", "-1h"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(click.UsageError, match="is no time"):
        duration_s(text)


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("tomorrow", "2026-11-24T00:00"),
        ("18:00", "2026-11-23T18:00"),
        ("09:00", "2026-11-24T09:00"),
        ("2026-12-24", "2026-12-24T00:00"),
        ("2026-12-24 18:30", "2026-12-24T18:30"),
    ],
)
def test_moments(text: str, then: str) -> None:
    assert moment(text, NOW) == datetime.fromisoformat(then).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["later", "25:00", "2026-13-01"])
def test_what_is_no_moment_is_named(text: str) -> None:
    with pytest.raises(click.UsageError, match="is no"):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["cpu=50"], {"cpu": 50}),
        (["hours=sat", "hours=sun"], {"hours": ["sat", "sun"]}),
        (["idle_after="], {"idle_after": None}),
        (["gpu=no", "when_withheld=return"], {"gpu": False, "when_withheld": "return"}),
        (["commands=1"], {"commands": ["1"]}),
    ],
)
def test_policies_as_they_are_typed(typed: list[str], said: dict[str, Any]) -> None:
    assert changes(typed) == said


def test_without_an_agent_its_owner_is_told_where_we_looked(tmp_path: Path) -> None:
    error = CliRunner().invoke(agent, ["--data-dir", str(tmp_path), "status"]).exception
    assert isinstance(error, NoAgent)
    assert str(tmp_path) in str(error)


def test_a_pause_that_is_over_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(agent, ["pause", "--until", "2020-01-01", "--data-dir", str(tmp_path)])
    assert (done.exit_code, "over already" in done.output) == (2, True)


def test_systemd_is_told_every_argument_as_it_is() -> None:
    unit = systemd_unit(["/opt/a b/python", '--name=50% "$HOME" \\'], system=True)
    assert 'ExecStart="/opt/a b/python" "--name=50%% \\"$$HOME\\" \\\\"' in unit
    assert "WantedBy=multi-user.target" in unit


def test_a_users_service_is_the_users(tmp_path: Path) -> None:
    mine = service("linux", ["a"], system=False, home=tmp_path)
    assert mine.path == tmp_path / ".config/systemd/user/rpn-agent.service"
    assert all(command[:2] == ["systemctl", "--user"] for command in mine.begin + mine.end)


def test_launchd_is_told_by_a_plist(tmp_path: Path) -> None:
    told = service("darwin", ["a", "b c"], system=False, home=tmp_path)
    assert plistlib.loads(told.text.encode())["ProgramArguments"] == ["a", "b c"]
    assert told.begin[0][:2] == ["launchctl", "bootstrap"]


def test_windows_is_told_by_a_task(tmp_path: Path) -> None:
    told = service("win32", ["C:\\Program Files\\python.exe", "-P"], system=False, home=tmp_path)
    assert (told.path, '"C:\\Program Files\\python.exe" -P' in told.begin[0]) == (None, True)


def test_other_platforms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="plan9"):
        service("plan9", ["a"], system=False, home=tmp_path)


def test_what_would_be_installed_can_be_seen_first(tmp_path: Path) -> None:
    flags = ["install", "--dry-run", "--server", "ws://desk:3000/ws", "--name", "attic"]
    shown = CliRunner().invoke(agent, flags, env={"HOME": str(tmp_path)}).output
    assert '"agent" "--name=attic" "--server=ws://desk:3000/ws"' in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="systemd's files")
def test_what_would_be_uninstalled_can_be_seen_first(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    done = CliRunner().invoke(agent, ["uninstall", "--dry-run"], env=environ)
    assert "nothing is installed" in str(done.exception)
    unit = tmp_path / ".config/systemd/user/rpn-agent.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Unit]")
    shown = CliRunner().invoke(agent, ["uninstall", "--dry-run"], env=environ).output
    assert f"{unit} would be removed" in shown
    assert "[Service]" not in shown
    assert unit.exists()
