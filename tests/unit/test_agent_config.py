"""agent.toml: what it registers, and how it says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import AgentConfig, Command, load_config, parse_config
from rpn.errors import BadSettings


def test_a_command_is_an_argv_with_limits() -> None:
    text = """
    [commands.render]
    argv = ["/usr/bin/blender", "-b"]
    timeout = 60
    max_parallel = 2
    """
    expected = Command(["/usr/bin/blender", "-b"], timeout_s=60, max_parallel=2)
    assert parse_config(text, source="x").commands == {"render": expected}


def test_no_file_registers_nothing(tmp_path: Path) -> None:
    assert load_config(tmp_path / "agent.toml") == AgentConfig()


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="RPN_AGENT_CONFIG"):
        load_config(tmp_path / "mine.toml", required=True)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[commands", "table declaration"),
        ('[commands.a]\nargv = "ls"', r"commands\.a\.argv"),
        ("[commands.a]\nargv = []", r"commands\.a\.argv"),
        ('[commands.a]\nargv = ["a\\u0000b"]', "argv"),
        ('[commands.a]\nargv = ["ls"]\ntimeout = -1', "timeout"),
        ('[commands.a]\nargv = ["ls"]\nmax_parallel = 0', "max_parallel"),
        ('[commands.a]\nargv = ["ls"]\ntimeuot = 1', "timeuot"),
        ('[comands.a]\nargv = ["ls"]', "comands"),
        ("commands = 1", "commands"),
        ("commands.a = 1", r"commands\.a"),
        ('[commands.""]\nargv = ["ls"]', "a name"),
    ],
)
def test_a_bad_file_names_what_is_wrong(text: str, named: str) -> None:
    with pytest.raises(BadSettings, match=named) as caught:
        parse_config(text, source="here/agent.toml")
    assert str(caught.value).startswith("here/agent.toml: ")


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match=r"agent\.toml"):
        load_config(path)
