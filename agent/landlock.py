"""Landlock, the kernel's way for a process to give up access to files, by its three system calls."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""the same on every architecture"""
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST_VERSION = (1 << 13) - 1
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def version() -> int:
    """Which version of Landlock the kernel speaks; 0: none."""
    if _libc is None:
        return 0
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, _VERSION)))


def restrict(*, reads: Iterable[str], writes: Iterable[str], network: bool) -> None:
    """Leave this process, and all it starts, these files and folders and nothing else.

    Where the kernel can, signals to processes outside and, without `network`, TCP are gone too.
    Paths that are not there are passed over. Raises OSError.
    """
    known = version()
    everything = _handled(known)
    ruleset = _create(known, everything, network=network)
    try:
        for path in reads:
            _allow(ruleset, path, _READ)
        for path in writes:
            _allow(ruleset, path, everything)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _handled(known: int) -> int:
    handled = _FIRST_VERSION
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if known >= since:
            handled |= right
    return handled


def _create(known: int, everything: int, *, network: bool) -> int:
    fields = [everything]
    if known >= 4:
        fields.append(0 if network else _BIND_AND_CONNECT_TCP)
    if known >= 6:
        fields.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    return _call(_CREATE_RULESET, attributes, len(attributes), 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore] # Linux
        try:
            if not os.path.isdir(f"/proc/self/fd/{fd}"):
                rights &= _OF_FILES
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
        finally:
            os.close(fd)


def _call(number: int, *arguments: int | bytes) -> int:
    if _libc is None:
        raise OSError("Landlock is Linux's")
    done = int(_libc.syscall(ctypes.c_long(number), *map(_as_word, arguments)))
    if done < 0:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")
    return done


def _as_word(argument: int | bytes) -> ctypes.c_long | bytes:
    return argument if isinstance(argument, bytes) else ctypes.c_long(argument)
