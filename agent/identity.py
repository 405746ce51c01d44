"""Who this device is: an id that outlives restarts, a name for people, a platform."""

from __future__ import annotations

import os
import re
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rpn.errors import BadSettings
from rpn.model import Name
from rpn.whole_file import write_whole

if sys.platform != "win32":
    import fcntl

ID_FILE = "agent-id"
LOCK_FILE = "agent.lock"


def device_id(data_dir: Path, *, chosen: str = "") -> str:
    """The id chosen by the owner, or the one kept in `data_dir`, made at the first start."""
    if chosen:
        return _valid(chosen, "RPN_DEVICE_ID")
    path = data_dir / ID_FILE
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return _valid(kept, str(path))
    made = str(uuid.uuid4())
    write_whole(path, f"{made}\n".encode(), lasting=True)
    return made


def device_name(*, chosen: str = "") -> str:
    """The name chosen by the owner, or the host's."""
    if chosen:
        return _valid(chosen, "RPN_DEVICE_NAME")
    return re.sub(r"[^\w. -]", "", socket.gethostname())[:128] or "device"


def platform() -> str:
    """The platform in API.md's words."""
    if hasattr(sys, "getandroidapilevel") or "ANDROID_ROOT" in os.environ:
        return "android"
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)


@contextmanager
def only_agent_of(data_dir: Path) -> Iterator[None]:
    """Hold `data_dir` for this process; raises BadSettings when another agent has it.

    Two agents of one directory would be one device, and supersede each other for ever.
    """
    path = data_dir / LOCK_FILE
    with path.open("a+", encoding="utf-8") as file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise BadSettings(
                    f"RPN_DATA_DIR: {data_dir} belongs to a running agent (process {holder})"
                ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _valid(text: str, where: str) -> str:
    try:
        return msgspec.convert(text, Name)
    except msgspec.ValidationError as error:
        raise BadSettings(f"{where}: {error}") from None
