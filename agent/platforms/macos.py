"""macOS: what pmset, ioreg and system_profiler print. Untested on a real one; the parsers are tested."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from agent.gpu import Gpu
from agent.policy import Battery

ANSWER_LIMIT_S = 10
NS_PER_S = 1_000_000_000


class MacOS:
    def __init__(self) -> None:
        self._gpus: list[Gpu] | None = None

    def battery(self) -> Battery | None:
        return parse_pmset(_told("pmset", "-g", "batt"))

    def idle_s(self) -> float | None:
        return parse_ioreg(_told("ioreg", "-c", "IOHIDSystem", "-d", "4"))

    def gpus(self) -> list[Gpu]:
        """Asked once: it takes seconds, and they do not come and go."""
        if self._gpus is None:
            self._gpus = parse_displays(_told("system_profiler", "SPDisplaysDataType", "-json"))
        return self._gpus


def parse_pmset(text: str) -> Battery | None:
    """`pmset -g batt`"""
    charge = re.search(r"InternalBattery[^\t]*\t(\d+)%", text)
    if charge is None:
        return None
    return Battery(float(charge[1]), "'AC Power'" in text)


def parse_ioreg(text: str) -> float | None:
    """`ioreg -c IOHIDSystem`"""
    found = re.search(r'"HIDIdleTime" = (\d+)', text)
    return int(found[1]) / NS_PER_S if found else None


def parse_displays(text: str) -> list[Gpu]:
    """`system_profiler SPDisplaysDataType -json`"""
    try:
        listed: list[dict[str, Any]] = json.loads(text)["SPDisplaysDataType"]
    except (ValueError, KeyError, TypeError):
        return []
    return [
        Gpu(str(each.get("sppci_model") or each.get("_name")), memory_mb=_vram_mb(each)) for each in listed
    ]


def _vram_mb(card: dict[str, Any]) -> int | None:
    """None on Apple's own, which share the machine's memory."""
    found = re.fullmatch(r"(\d+) (MB|GB)", str(card.get("spdisplays_vram", "")))
    return int(found[1]) * (1024 if found[2] == "GB" else 1) if found else None


def _told(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_LIMIT_S).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
