"""The door that only this device's owner has: a socket of mode 0600 in the agent's folder.

One JSON object a line, and one back: `{"do": "status" | "pause" | "resume" | "policy", ...}` is
answered `{"ok": true, ...}` or `{"ok": false, "error", "code"}`. A task cannot come in, not even
one that runs as the same user.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent import proc
from agent.owner import Owner
from agent.policy import Policy
from rpn.errors import BadSettings, RPNError
from rpn.model import Seconds

log = logging.getLogger(__name__)

SOCKET_FILE = "agent.sock"
LINE_LIMIT_KIB = 64
SILENCE_LIMIT_S = 10.0


class Said(msgspec.Struct, tag_field="do", forbid_unknown_fields=True):
    """What an owner may say."""


class Status(Said, tag="status"):
    """How are you?"""


class Pause(Said, tag="pause"):
    """Offer nothing, for so long or until told otherwise."""

    for_s: Seconds | None = None


class Resume(Said, tag="resume"):
    """Go on after a pause."""


class Change(Said, tag="policy"):
    """Change these parts of the policy, or take agent.toml's again."""

    changes: dict[str, Any] = {}
    reset: bool = False


_decode = msgspec.json.Decoder(Status | Pause | Resume | Change).decode


class Control:
    """`run` serves until it is cancelled; `status` tells how the agent is."""

    def __init__(
        self, data_dir: Path, owner: Owner, status: Callable[[], dict[str, Any]], *, warden: int | None
    ) -> None:
        self._folder = data_dir
        self._owner = owner
        self._status = status
        self._warden = warden

    async def run(self) -> None:
        if sys.platform == "win32":  # the owner edits agent.toml
            await asyncio.Event().wait()
            return
        with _listening(self._folder) as listener:
            server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_LIMIT_KIB * 1024)
            async with server:
                await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._is_a_task(writer.get_extra_info("socket")):
                log.warning("a task tried to speak as the owner")
                return
            async with asyncio.timeout(SILENCE_LIMIT_S):
                while line := await reader.readline():
                    writer.write(msgspec.json.encode(self._answer(line)) + b"\n")
                    await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:
            log.debug("the owner's connection: %s", error)
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            self._do(_decode(line))
        except msgspec.DecodeError as error:
            return {"ok": False, "error": str(error), "code": "BAD_MESSAGE"}
        except RPNError as error:
            return {"ok": False, "error": str(error), "code": error.code}
        return {"ok": True, **self._status()}

    def _do(self, said: Said) -> None:
        if isinstance(said, Pause):
            self._owner.pause(None if said.for_s is None else time.time() + said.for_s)
        elif isinstance(said, Resume):
            self._owner.resume()
        elif isinstance(said, Change) and said.reset:
            self._owner.set_policy(None)
        elif isinstance(said, Change) and said.changes:
            self._owner.set_policy(changed(self._owner.policy, said.changes))

    def _is_a_task(self, peer: socket.socket) -> bool:
        """Whether the other end is the warden or below it, where it has no business."""
        pid = _pid_of(peer)
        while pid is not None and pid > 1:
            if pid == self._warden:
                return True
            found = proc.look(pid)
            pid = found.parent if found is not None else None
        return False


def changed(policy: Policy, changes: dict[str, Any]) -> Policy:
    """`policy` with these fields set, or as they are by default where null; raises BadSettings."""
    fields = {**msgspec.to_builtins(policy), **changes}
    try:
        return msgspec.convert({k: v for k, v in fields.items() if v is not None}, Policy)
    except msgspec.ValidationError as error:
        raise BadSettings(f"policy: {error}") from None


class _listening:  # noqa: N801 - a context manager
    """A listening socket that nobody but us (and root) may connect to; its file goes with it."""

    _listener: socket.socket

    def __init__(self, folder: Path) -> None:
        self._path = folder / SOCKET_FILE

    def __enter__(self) -> socket.socket:
        if sys.platform == "win32":
            raise OSError("Windows has no such sockets")
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        folder = os.open(self._path.parent, os.O_RDONLY)
        mask = os.umask(0o177)
        try:
            self._listener.bind(near(self._path, folder))
        finally:
            os.umask(mask)
            os.close(folder)
        self._listener.listen()
        self._listener.setblocking(False)
        return self._listener

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._path.unlink(missing_ok=True)


def near(path: Path, folder: int) -> str:
    """A name for `path` that fits into an address, by way of its opened folder if it is long."""
    if len(os.fsencode(path)) < 100 or sys.platform != "linux":
        return str(path)
    return f"/proc/self/fd/{folder}/{path.name}"


def _pid_of(peer: socket.socket) -> int | None:
    if sys.platform != "linux":
        return None
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid
