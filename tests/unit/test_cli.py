"""The promises of the `rpn` command as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from rpn import __version__, cli


def run_rpn(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", "from rpn.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ)


def test_it_says_its_version() -> None:
    assert __version__ in CliRunner().invoke(cli.rpn, ["--version"]).output


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    assert CliRunner().invoke(cli.rpn, [name, "--help"]).exit_code == 0


def test_the_command_line_imports_no_service_and_no_store_client() -> None:
    code = (
        "import sys, rpn.cli, rpn.cli.up, rpn.cli.process, rpn.cli.health, rpn.cli.plan\n"
        "print([m for m in ('redis', 'gateway', 'scheduler', 'agent', 'rich', 'psutil') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("command", ["up", "gateway", "scheduler", "agent"])
def test_a_bad_setting_is_one_clear_line(command: str) -> None:
    done = run_rpn(command, RPN_LOG_LEVEL="loud")
    assert done.returncode == cli.BAD_START
    assert done.stderr.startswith("rpn: RPN_LOG_LEVEL: ")
    assert done.stderr.count("\n") == 1


def test_up_refuses_a_bad_setting_of_a_process_it_would_start() -> None:
    done = run_rpn("up", RPN_DEVICE_LIMIT="many")
    assert (done.returncode, done.stderr[:22]) == (cli.BAD_START, "rpn: RPN_DEVICE_LIMIT:")
