"""What each platform tells about its machine in a way of its own: battery, idle time, GPUs."""

from __future__ import annotations

import os
import sys
from typing import Protocol

from agent.gpu import Gpu
from agent.policy import Battery


class Platform(Protocol):
    """One of the files beside this. What it cannot tell is None; it raises nothing."""

    def battery(self) -> Battery | None:
        """None: it has none."""

    def idle_s(self) -> float | None:
        """For how long nobody has used keyboard, mouse or terminal."""

    def gpus(self) -> list[Gpu]:
        """Those that no vendor's library was asked about."""


def this_platform() -> Platform:
    """How to ask the machine we run on."""
    if sys.platform == "darwin":
        from agent.platforms.macos import MacOS

        return MacOS()
    if sys.platform == "win32":
        from agent.platforms.windows import Windows

        return Windows()
    if hasattr(sys, "getandroidapilevel") or "ANDROID_ROOT" in os.environ:
        from agent.platforms.termux import Termux

        return Termux()
    from agent.platforms.linux import Linux

    return Linux()
