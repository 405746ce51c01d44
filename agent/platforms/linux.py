"""Linux: batteries and AMD's GPUs by sysfs, idle time by the terminals and logind."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.gpu import Gpu
from agent.policy import Battery

AMD = "0x1002"
MB = 2**20
ANSWER_LIMIT_S = 2


class Linux:
    def __init__(self, sys_: Path = Path("/sys"), dev: Path = Path("/dev")) -> None:
        self._sys = sys_
        self._dev = dev

    def battery(self) -> Battery | None:
        return parse_supplies([_files(each) for each in _folders(self._sys / "class/power_supply")])

    def idle_s(self) -> float | None:
        """A machine that nobody is logged in to is idle since it was started."""
        touched_s = [used_s for used_s in (self._terminals_s(), _desktop_s()) if used_s is not None]
        return max(0.0, time.time() - max(touched_s)) if touched_s else _uptime_s()

    def gpus(self) -> list[Gpu]:
        cards = [each for each in _folders(self._sys / "class/drm") if each.name[4:].isdigit()]
        found = (_amd(_files(card / "device")) for card in cards)
        return [gpu for gpu in found if gpu is not None]

    def _terminals_s(self) -> float | None:
        """When somebody last typed at a terminal."""
        terminals = [*self._dev.glob("pts/[0-9]*"), *self._dev.glob("tty[1-9]")]
        owned = (each.stat() for each in terminals if each.exists())
        return max((found.st_atime for found in owned if found.st_uid or found.st_gid), default=None)


def parse_supplies(supplies: Iterable[Mapping[str, str]]) -> Battery | None:
    """The contents of /sys/class/power_supply: the least charged battery, and whether anything feeds it."""
    own = [each for each in supplies if each.get("scope") != "Device"]  # a mouse has one too
    batteries = [each for each in own if each.get("type") == "Battery"]
    if not batteries:
        return None
    fed = [each["online"] == "1" for each in own if each.get("type") in ("Mains", "USB") and "online" in each]
    charges = [float(each["capacity"]) for each in batteries if each.get("capacity", "").isdigit()]
    discharging = any(each.get("status") == "Discharging" for each in batteries)
    return Battery(min(charges, default=None), any(fed) if fed else not discharging)


def parse_sessions(text: str, *, now_s: float) -> float | None:
    """When a desktop was last used, by `loginctl show-session -p IdleHint -p IdleSinceHint -p Type`."""
    used_s = []
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if values.get("Type") in ("x11", "wayland", "mir"):
            idle = values.get("IdleHint") == "yes"
            used_s.append(int(values.get("IdleSinceHint") or 0) / 1e6 if idle else now_s)
    return max(used_s, default=None)


def _desktop_s() -> float | None:
    if not os.path.isdir("/run/systemd/seats"):
        return None
    listed = _told("loginctl", "list-sessions", "--no-legend")
    sessions = [line.split()[0] for line in listed.splitlines() if line.strip()]
    if not sessions:
        return None
    asked = [f"--property={name}" for name in ("IdleHint", "IdleSinceHint", "Type")]
    return parse_sessions(_told("loginctl", "show-session", *asked, *sessions), now_s=time.time())


def _told(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_LIMIT_S).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""


def _uptime_s() -> float | None:
    try:
        return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return None


def _amd(device: Mapping[str, str]) -> Gpu | None:
    if device.get("vendor") != AMD:
        return None
    total, usage = device.get("mem_info_vram_total", ""), device.get("gpu_busy_percent", "")
    used = device.get("mem_info_vram_used", "")
    return Gpu(
        device.get("product_name") or "AMD GPU",
        memory_mb=int(total) // MB if total.isdigit() else None,
        memory_used_mb=int(used) // MB if used.isdigit() else None,
        usage=float(usage) if usage.isdigit() else None,
    )


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


_WANTED = (
    "type", "scope", "online", "capacity", "status",
    "vendor", "product_name", "gpu_busy_percent", "mem_info_vram_total", "mem_info_vram_used",
)  # fmt: skip


def _files(folder: Path) -> dict[str, str]:
    """The small files of a folder of sysfs that we want to know."""
    found = {}
    for name in _WANTED:
        try:
            found[name] = (folder / name).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
    return found
