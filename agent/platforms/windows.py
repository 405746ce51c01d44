"""Windows: power and idle time by two calls of its API. Untested on a real one; the parsers are tested."""

from __future__ import annotations

import ctypes
import struct
import sys

from agent.gpu import Gpu
from agent.policy import Battery

POWER_STATUS = struct.Struct("<BBBBII")
"""SYSTEM_POWER_STATUS: on mains, flags, charge, ..."""
LAST_INPUT = struct.Struct("<II")
"""LASTINPUTINFO: its size, when somebody last typed or pointed (ms since the start, 32 bits)"""
NO_BATTERY, UNKNOWN = 128, 255
TICKS = 2**32


class Windows:
    def battery(self) -> Battery | None:
        status = ctypes.create_string_buffer(POWER_STATUS.size)
        if sys.platform != "win32" or not ctypes.windll.kernel32.GetSystemPowerStatus(status):
            return Battery(None, None)
        return parse_power(status.raw)

    def idle_s(self) -> float | None:
        asked = ctypes.create_string_buffer(LAST_INPUT.pack(LAST_INPUT.size, 0), LAST_INPUT.size)
        if sys.platform != "win32" or not ctypes.windll.user32.GetLastInputInfo(asked):
            return None
        return parse_last_input(asked.raw, now_ms=int(ctypes.windll.kernel32.GetTickCount()))

    def gpus(self) -> list[Gpu]:
        return []


def parse_power(status: bytes) -> Battery | None:
    """A SYSTEM_POWER_STATUS."""
    on_mains, flags, charge, *_ = POWER_STATUS.unpack(status)
    if flags != UNKNOWN and flags & NO_BATTERY:
        return None
    return Battery(
        float(charge) if charge != UNKNOWN else None, bool(on_mains) if on_mains != UNKNOWN else None
    )


def parse_last_input(info: bytes, *, now_ms: int) -> float:
    """A LASTINPUTINFO; both clocks begin anew after 49.7 days."""
    _, last_ms = LAST_INPUT.unpack(info)
    return float((now_ms - last_ms) % TICKS) / 1000
