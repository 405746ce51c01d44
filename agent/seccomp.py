"""A filter of system calls that keeps a process, and all it starts, from opening sockets."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from functools import cache
from typing import NamedTuple

_PR_SET_SECCOMP, _FILTER_MODE = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
"""offsets in what the kernel shows a filter of a call"""
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EACCES
_IO_URING_SETUP = 425
"""the other way to a socket; the same number on every architecture"""
_X32 = 0x40000000


class _Architecture(NamedTuple):
    audit: int
    """AUDIT_ARCH_*"""
    socket: int
    """number of socket(2)"""


_ARCHITECTURES = {"x86_64": _Architecture(0xC000003E, 41), "aarch64": _Architecture(0xC00000B7, 198)}
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_prctl = _libc.prctl if _libc is not None else None


@cache
def available() -> bool:
    """Whether `forbid_sockets` knows this machine."""
    return sys.platform == "linux" and os.uname().machine in _ARCHITECTURES


def forbid_sockets() -> None:
    """From here on socket(2) is refused; socketpair(2) is not. Needs no_new_privs. Raises OSError."""
    if _prctl is None:
        raise OSError("seccomp is Linux's")
    if _prctl(_PR_SET_SECCOMP, _FILTER_MODE, own_filter().described, 0, 0):
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


class _Filter(NamedTuple):
    described: bytes
    """a `struct sock_fprog`, which points to the program"""
    program: ctypes.Array[ctypes.c_char]


@cache
def own_filter() -> _Filter:
    """The filter for this machine as the kernel wants it: once before a fork is enough for all children."""
    if sys.platform == "win32":
        raise OSError("seccomp is Linux's")
    code = program(_ARCHITECTURES[os.uname().machine])
    kept = ctypes.create_string_buffer(code, len(code))
    return _Filter(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept)), kept)


def program(machine: _Architecture) -> bytes:
    """The filter; calls of another architecture, which have other numbers, are refused altogether."""
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, 5, machine.audit),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 3, 0, _X32),
        (_EQUAL, 2, 0, machine.socket),
        (_EQUAL, 1, 0, _IO_URING_SETUP),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
