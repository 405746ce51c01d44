"""The promises of rpn.cli.flags: every setting is a flag, and a flag beats the environment."""

from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner

from rpn.cli.flags import flags_for, with_flags
from rpn.settings import AgentSettings, GatewaySettings


@click.command()
@flags_for(GatewaySettings)
def show(**flags: Any) -> None:
    click.echo({name: value for name, value in flags.items() if value is not None})


def test_every_setting_is_a_flag() -> None:
    flags = {str(option.name).removesuffix("_file") for option in show.params}
    assert flags == set(GatewaySettings.__struct_fields__)


def test_a_secret_is_never_a_flag_but_the_file_that_holds_it_is() -> None:
    names = {option.name for option in show.params}
    assert ("seed_tokens" in names, "seed_tokens_file" in names) == (False, True)
    assert with_flags({"RPN_TOKEN": "old"}, {"token_file": "/t"})["RPN_TOKEN_FILE"] == "/t"


def test_only_what_was_given_is_told() -> None:
    assert CliRunner().invoke(show, ["--device-limit", "7"]).output == "{'device_limit': '7'}\n"


def test_a_devices_name_is_called_name() -> None:
    @click.command()
    @flags_for(AgentSettings)
    def agent(**flags: Any) -> None:
        click.echo(flags["device_name"])

    assert CliRunner().invoke(agent, ["--name", "attic"]).output == "attic\n"


def test_a_flag_beats_a_variable_and_a_file() -> None:
    environ = {"RPN_PORT": "1", "RPN_PORT_FILE": "/secret", "HOME": "/root"}
    assert with_flags(environ, {"port": 2, "host": None}) == {"RPN_PORT": "2", "HOME": "/root"}
