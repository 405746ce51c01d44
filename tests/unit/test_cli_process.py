"""The promises of `rpn gateway|scheduler|agent`: the same process becomes the service."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from rpn.cli.agent import agent
from rpn.cli.process import gateway


class Became(Exception):
    """What the process was to become."""


@pytest.fixture(autouse=True)
def stay_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RPN_")]:
        monkeypatch.delenv(name)

    def execve(program: str, command: list[str], environ: dict[str, str]) -> None:
        raise Became(program, command, {name: v for name, v in environ.items() if name.startswith("RPN_")})

    monkeypatch.setattr("os.execve", execve)


def became(command: Any, *flags: str, **environ: str) -> tuple[str, list[str], dict[str, str]]:
    error = CliRunner().invoke(command, flags, env=environ).exception
    assert isinstance(error, Became), error
    program, arguments, variables = error.args
    return program, arguments, variables


def test_a_gateway_is_told_its_flags_by_the_environment() -> None:
    program, command, environ = became(gateway, "--port", "7", "--pool", "attic", RPN_HOST="::1")
    assert (program, command) == (sys.executable, [sys.executable, "-P", "-m", "gateway"])
    assert environ == {"RPN_PORT": "7", "RPN_POOL": "attic", "RPN_HOST": "::1"}


def test_an_agent_may_be_given_servers_and_a_name() -> None:
    _, command, environ = became(agent, "--server", "ws://a/ws,ws://b/ws", "--name", "attic")
    assert command[-1] == "agent"
    assert environ == {"RPN_SERVER": "ws://a/ws,ws://b/ws", "RPN_DEVICE_NAME": "attic"}


def test_without_the_server_extra_a_gateway_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpn.cli.server_extra.PACKAGES", ("no_such_package",))
    error = CliRunner().invoke(gateway, []).exception
    assert "pip install 'resource-pooling-network[server]'" in str(error)
