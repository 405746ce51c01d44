"""Landlock, the kernel's way for a process to give up access to files, by its three system calls."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache

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

_syscall = ctypes.CDLL(None, use_errno=True).syscall if sys.platform == "linux" else None


@cache
def version() -> int:
    """Which version of Landlock the kernel speaks; 0: none."""
    if _syscall is None:
        return 0
    return max(0, int(_syscall(_CREATE_RULESET, None, 0, _VERSION)))


class Places:
    """Files and folders opened beforehand, to be granted to many processes quickly."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.opened = list(_opened(paths))


class Ruleset:
    """What a process, and all it starts, is left with: files and folders, and nothing else; `known` to read.

    Where the kernel can, signals to processes outside and, without `network`, TCP are gone too.
    Paths that are not there are passed over. Everything here raises OSError.
    """

    def __init__(self, known: Places, *, network: bool) -> None:
        self.network = network
        self._everything = _handled(version())
        self._fd = _create(self._everything, network=network)
        for fd, is_folder in known.opened:
            _allow(self._fd, fd, _READ, is_folder=is_folder)

    def add(self, *, reads: Iterable[str] = (), writes: Iterable[str] = ()) -> None:
        """Leave it these places too."""
        for paths, rights in ((reads, _READ), (writes, self._everything)):
            for fd, is_folder in _opened(paths):
                _allow(self._fd, fd, rights, is_folder=is_folder)
                os.close(fd)

    def restrict(self) -> None:
        """Hold this process to it."""
        try:
            _call(_RESTRICT_SELF, self._fd, 0)
        finally:
            os.close(self._fd)


def _handled(known: int) -> int:
    handled = _FIRST_VERSION
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if known >= since:
            handled |= right
    return handled


def _create(everything: int, *, network: bool) -> int:
    fields = [everything]
    if version() >= 4:
        fields.append(0 if network else _BIND_AND_CONNECT_TCP)
    if version() >= 6:
        fields.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    return _call(_CREATE_RULESET, attributes, len(attributes), 0)


def _opened(paths: Iterable[str]) -> Iterator[tuple[int, bool]]:
    """What is there of `paths`, and whether it is a folder."""
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore] # Linux
            yield fd, stat.S_ISDIR(os.fstat(fd).st_mode)


def _allow(ruleset: int, fd: int, rights: int, *, is_folder: bool) -> None:
    if not is_folder:
        rights &= _OF_FILES
    _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)


def _call(number: int, *arguments: int | bytes) -> int:
    if _syscall is None:
        raise OSError("Landlock is Linux's")
    done = int(_syscall(ctypes.c_long(number), *map(_as_word, arguments)))
    if done < 0:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")
    return done


def _as_word(argument: int | bytes) -> ctypes.c_long | bytes:
    return argument if isinstance(argument, bytes) else ctypes.c_long(argument)
