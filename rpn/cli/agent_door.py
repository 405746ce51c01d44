"""Speaks to the agent of this machine through its owner's socket."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from rpn.errors import NoAgent, RPNError
from rpn.settings import AgentSettings, load

SOCKET_FILE = "agent.sock"
ANSWER_LIMIT_S = 10
ANSWER_LIMIT_KIB = 1024


class Refused(RPNError):
    """The agent said no, and why."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


def data_dir_of(given: str | None) -> Path:
    """The folder of the agent that is meant: the one given or set, else the one that runs."""
    folder = Path(load(AgentSettings, os.environ, data_dir=given).data_dir).expanduser()
    of_up = folder / "agent"
    return of_up if not (folder / SOCKET_FILE).exists() and (of_up / SOCKET_FILE).exists() else folder


def ask(data_dir: Path, said: dict[str, Any]) -> dict[str, Any]:
    """The agent's answer. Raises NoAgent when none runs there, Refused when it says no."""
    if not hasattr(socket, "AF_UNIX"):
        raise NoAgent("on this platform the agent's owner speaks to it by agent.toml alone")
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(ANSWER_LIMIT_S)
            _connect(door, data_dir)
            door.sendall(json.dumps(said).encode() + b"\n")
            line = door.makefile("rb").readline(ANSWER_LIMIT_KIB * 1024)
            answer: dict[str, Any] = json.loads(line)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise NoAgent(f"no agent answers in {data_dir} ({why})") from None
    if not answer.pop("ok"):
        raise Refused(answer["error"], answer["code"])
    return answer


def _connect(door: socket.socket, data_dir: Path) -> None:
    path = data_dir / SOCKET_FILE
    if len(os.fsencode(path)) < 100 or sys.platform != "linux":
        door.connect(str(path))
        return
    folder = os.open(data_dir, os.O_RDONLY)  # the path is too long for an address
    try:
        door.connect(f"/proc/self/fd/{folder}/{SOCKET_FILE}")
    finally:
        os.close(folder)
