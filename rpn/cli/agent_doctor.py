"""`rpn agent doctor`, in a process of its own: what it looks at is the agent's business."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from rpn.cli.agent_door import ask
from rpn.cli.flags import with_flags
from rpn.cli.process import module_command
from rpn.errors import RPNError


def examine(data_dir: Path) -> int:
    """Print what is well and what is not; returns 1 if something keeps the agent from doing well."""
    environ = with_flags(os.environ, {"data_dir": data_dir})
    try:
        ask(data_dir, {"do": "status"})
        environ["RPN_DOCTOR_RUNNING"] = "1"
    except RPNError:
        environ.pop("RPN_DOCTOR_RUNNING", None)
    return subprocess.run(module_command("agent.doctor"), env=environ, check=False).returncode  # noqa: S603
