"""What systemd, launchd and Windows want to be told about a program that they shall keep running."""

from __future__ import annotations

import os
import plistlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from rpn.errors import ServerFailed

NAME = "rpn-agent"
LAUNCHD_NAME = "network.resource-pooling.agent"
SYSTEM_DATA_DIR = "/var/lib/rpn"
RESTART_S = 5


class Service(Struct, frozen=True):
    """How a platform is told: a file, if it wants one, and commands to begin and to end."""

    name: str
    path: Path | None
    text: str
    begin: list[list[str]]
    end: list[list[str]]


def service(platform: str, command: Sequence[str], *, system: bool, home: Path) -> Service:
    """The service that runs `command`, for the whole machine or for this user. Raises ServerFailed."""
    if platform == "darwin":
        return _launchd(command, system=system, home=home)
    if platform == "win32":
        return _windows(command, system=system)
    if platform == "linux":
        return _systemd(command, system=system, home=home)
    raise ServerFailed(f"how to install a service on {platform} is not known")


def _systemd(command: Sequence[str], *, system: bool, home: Path) -> Service:
    folder = Path("/etc/systemd/system") if system else home / ".config/systemd/user"
    told = ["systemctl"] if system else ["systemctl", "--user"]
    unit = f"{NAME}.service"
    return Service(
        unit,
        folder / unit,
        systemd_unit(command, system=system),
        begin=[[*told, "daemon-reload"], [*told, "enable", unit], [*told, "restart", unit]],
        end=[[*told, "disable", "--now", unit]],
    )


def systemd_unit(command: Sequence[str], *, system: bool) -> str:
    """The unit file. `Delegate` leaves the agent its own cgroup, `OOMPolicy` a task's end to the task."""
    return f"""[Unit]
Description=Resource Pooling Network agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={" ".join(map(_quoted, command))}
Restart=always
RestartSec={RESTART_S}
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=20
Delegate=yes
OOMPolicy=continue

[Install]
WantedBy={"multi-user.target" if system else "default.target"}
"""


def _quoted(argument: str) -> str:
    for special, plain in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        argument = argument.replace(special, plain)
    return f'"{argument}"'


def _launchd(command: Sequence[str], *, system: bool, home: Path) -> Service:
    folder = Path("/Library/LaunchDaemons") if system else home / "Library/LaunchAgents"
    path = folder / f"{LAUNCHD_NAME}.plist"
    domain = "system" if system else f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    told = {
        "Label": LAUNCHD_NAME,
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": RESTART_S,
        "ProcessType": "Background",
    }
    return Service(
        LAUNCHD_NAME,
        path,
        plistlib.dumps(told).decode(),
        begin=[["launchctl", "bootstrap", domain, str(path)]],
        end=[["launchctl", "bootout", f"{domain}/{LAUNCHD_NAME}"]],
    )


def _windows(command: Sequence[str], *, system: bool) -> Service:
    when = ["/SC", "ONSTART", "/RU", "SYSTEM"] if system else ["/SC", "ONLOGON"]
    line = subprocess.list2cmdline(command)
    return Service(
        NAME,
        None,
        "",
        begin=[
            ["schtasks", "/Create", "/F", "/TN", NAME, "/TR", line, *when],
            ["schtasks", "/Run", "/TN", NAME],
        ],
        end=[["schtasks", "/End", "/TN", NAME], ["schtasks", "/Delete", "/F", "/TN", NAME]],
    )
