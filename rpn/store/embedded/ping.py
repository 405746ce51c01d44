"""Asks a server whether it answers, in the few bytes of its protocol that this takes."""

from __future__ import annotations

import enum
import socket


class Answer(enum.Enum):
    NONE = enum.auto()
    """nobody there, or no answer in time"""
    LOADING = enum.auto()
    """it reads its data and will be ready later"""
    READY = enum.auto()


def ping(address: str | tuple[str, int], *, limit_s: float = 0.25) -> Answer:
    """What the server at a unix socket's path, or at a host and port, says to PING."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as wire:
        wire.settimeout(limit_s)
        try:
            wire.connect(address)
            wire.sendall(b"*1\r\n$4\r\nPING\r\n")
            said = wire.recv(64)
        except OSError:
            return Answer.NONE
    if said.startswith(b"+PONG"):
        return Answer.READY
    return Answer.LOADING if said.startswith(b"-LOADING") else Answer.NONE
