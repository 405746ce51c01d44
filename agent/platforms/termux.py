"""Android under Termux: what termux-api tells of the battery. Untested on a real one, but for the parser."""

from __future__ import annotations

import json
import subprocess

from agent.gpu import Gpu
from agent.policy import Battery

ANSWER_LIMIT_S = 5
COMMAND = ["termux-battery-status"]


class Termux:
    """Android tells nobody whether its screen is used, and nothing of its GPU."""

    def battery(self) -> Battery | None:
        try:
            asked = subprocess.run(COMMAND, capture_output=True, text=True, timeout=ANSWER_LIMIT_S)  # noqa: S603
        except (OSError, subprocess.SubprocessError):
            return Battery(None, None)  # every phone has one, but without termux-api it does not tell
        return parse_status(asked.stdout)

    def idle_s(self) -> float | None:
        return None

    def gpus(self) -> list[Gpu]:
        return []


def parse_status(text: str) -> Battery:
    """`termux-battery-status`"""
    try:
        found = json.loads(text)
        return Battery(float(found["percentage"]), found["plugged"] != "UNPLUGGED")
    except (ValueError, KeyError, TypeError):
        return Battery(None, None)
