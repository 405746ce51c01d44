"""What other platforms print, as it was recorded, and what we read out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.gpu import Gpu
from agent.platforms.linux import Linux, parse_sessions, parse_supplies
from agent.platforms.macos import parse_displays, parse_ioreg, parse_pmset
from agent.platforms.termux import parse_status
from agent.platforms.windows import LAST_INPUT, POWER_STATUS, parse_last_input, parse_power
from agent.policy import Battery

PMSET = """Now drawing from '{source}'
 -InternalBattery-0 (id=23199843)	{charge}%; discharging; 4:02 remaining present: true
"""
IOREG = """+-o IOHIDSystem  <class IOHIDSystem, id 0x100000523, registered, matched, active>
    {
      "HIDIdleTime" = 1513203125
    }
"""
DISPLAYS = """{"SPDisplaysDataType": [
  {"_name": "kHW_AppleM2Item", "sppci_bus": "spdisplays_builtin", "sppci_cores": "10",
   "sppci_model": "Apple M2", "spdisplays_vendor": "sppci_vendor_Apple"},
  {"_name": "AMD Radeon Pro 5500M", "sppci_model": "AMD Radeon Pro 5500M", "spdisplays_vram": "4 GB"}]}"""
TERMUX = """{"health": "GOOD", "percentage": 83, "plugged": "%s", "status": "DISCHARGING"}"""


@pytest.mark.parametrize(("source", "on_mains"), [("AC Power", True), ("Battery Power", False)])
def test_pmset(source: str, on_mains: bool) -> None:
    assert parse_pmset(PMSET.format(source=source, charge=77)) == Battery(77, on_mains)


def test_a_mac_without_a_battery_has_none() -> None:
    assert parse_pmset("Now drawing from 'AC Power'\n") is None


def test_ioreg_and_system_profiler() -> None:
    assert parse_ioreg(IOREG) == pytest.approx(1.513, abs=0.001)
    assert parse_ioreg("") is None
    assert parse_displays(DISPLAYS) == [Gpu("Apple M2"), Gpu("AMD Radeon Pro 5500M", 4096)]
    assert parse_displays("") == []


@pytest.mark.parametrize(("plugged", "on_mains"), [("UNPLUGGED", False), ("PLUGGED_AC", True)])
def test_termux(plugged: str, on_mains: bool) -> None:
    assert parse_status(TERMUX % plugged) == Battery(83, on_mains)
    assert parse_status("") == Battery(None, None)


@pytest.mark.parametrize(
    ("status", "battery"),
    [
        ((1, 128, 255, 0, 0, 0), None),
        ((0, 1, 64, 0, 5400, 0), Battery(64, on_mains=False)),
        ((1, 8, 100, 0, 0, 0), Battery(100, on_mains=True)),
        ((255, 255, 255, 0, 0, 0), Battery(None, None)),
    ],
)
def test_windows_power(status: tuple[int, ...], battery: Battery | None) -> None:
    assert parse_power(POWER_STATUS.pack(*status)) == battery


def test_windows_last_input_goes_over_the_end_of_its_clock() -> None:
    assert parse_last_input(LAST_INPUT.pack(8, 1000), now_ms=4500) == 3.5
    assert parse_last_input(LAST_INPUT.pack(8, 2**32 - 500), now_ms=500) == 1.0


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def test_a_linux_laptop(tmp_path: Path) -> None:
    supplies = tmp_path / "class/power_supply"
    write(supplies / "AC", type="Mains", online=0)
    write(supplies / "BAT0", type="Battery", capacity=55, status="Discharging")
    write(supplies / "mouse", type="Battery", capacity=3, status="Discharging", scope="Device")
    assert Linux(tmp_path).battery() == Battery(55, on_mains=False)


def test_linux_machines_that_tell_less() -> None:
    assert parse_supplies([]) is None
    assert parse_supplies([{"type": "Battery", "status": "Charging"}]) == Battery(None, on_mains=True)


def test_amd_gpus(tmp_path: Path) -> None:
    drm = tmp_path / "class/drm"
    write(drm / "card0/device", vendor="0x10de")
    write(drm / "card1/device", vendor="0x1002", mem_info_vram_total=8 * 2**30, gpu_busy_percent=42)
    write(drm / "card1-HDMI-A-1/device", vendor="0x1002")
    assert Linux(tmp_path).gpus() == [Gpu("AMD GPU", 8192, None, 42.0)]
    assert Linux(tmp_path / "nothing").gpus() == []


def test_logind_tells_when_a_desktop_was_used() -> None:
    idle = "IdleHint=yes\nIdleSinceHint=1700000000000000\nType=wayland\n"
    used = "IdleHint=no\nIdleSinceHint=0\nType=x11\n"
    assert parse_sessions(idle, now_s=1.8e9) == 1.7e9
    assert parse_sessions(f"{idle}\n{used}", now_s=1.8e9) == 1.8e9
    assert parse_sessions("Type=tty\nIdleHint=no\n", now_s=1.8e9) is None
