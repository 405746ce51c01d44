"""Job objects of Windows: what a process in one starts stays in it, is held to its limits, and ends with it.

Thin, and untested on a real one; what it packs and unpacks is tested. Every call that Windows refuses
raises OSError, so that nothing runs outside its limits.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from functools import cache
from math import ceil
from typing import Any, Final

import msgspec

from agent.spawner import Limits

MB = 2**20
EXTENDED_LIMITS = struct.Struct("<qqI4xQQI4xQII6Q4Q")
"""JOBOBJECT_EXTENDED_LIMIT_INFORMATION on a 64-bit system"""
ACCOUNTING = struct.Struct("<4q4I")
"""JOBOBJECT_BASIC_ACCOUNTING_INFORMATION"""
CPU_RATE = struct.Struct("<II")
"""JOBOBJECT_CPU_RATE_CONTROL_INFORMATION: flags, hundredths of a percent of all processors"""
PIDS_HEAD = struct.Struct("<II")
"""JOBOBJECT_BASIC_PROCESS_ID_LIST: how many there are, how many stand here; then so many 64-bit ids"""
PIDS_LIMIT = 4096

_ACTIVE_PROCESSES, _PRIORITY, _JOB_MEMORY = 0x8, 0x20, 0x200
_DIE_ON_EXCEPTION, _KILL_ON_CLOSE = 0x400, 0x2000
_BELOW_NORMAL = 0x4000
_CPU_ENABLE, _CPU_HARD_CAP = 0x1, 0x4
_NO_USER_INTERFACE = 0xFF
"""no clipboard, no other windows, no shutdown, no settings"""
_ACCOUNTING_CLASS, _PIDS_CLASS, _UI_CLASS, _EXTENDED_CLASS, _CPU_CLASS = 1, 3, 4, 9, 15
_SUSPEND_RESUME: Final = 0x0800


class Job:
    """One, with these limits; `close` ends whatever is still in it, and so does the end of this process."""

    def __init__(self, limits: Limits) -> None:
        self._handle = _must(_kernel32().CreateJobObjectW(None, None), "CreateJobObject")
        try:
            self._set(_UI_CLASS, struct.pack("<I", _NO_USER_INTERFACE))
            self.hold_to(limits)
        except OSError:
            self.close()
            raise

    def hold_to(self, limits: Limits) -> None:
        """From now on these."""
        self._set(_EXTENDED_CLASS, packed_limits(limits))
        if not isinstance(limits.cpu, msgspec.UnsetType):
            self._set(_CPU_CLASS, packed_cpu(limits.cpu, cores=os.cpu_count() or 1))

    def take(self, process: int) -> None:
        """Have the process of this handle in it, and let it begin; it was started suspended."""
        _must(_kernel32().AssignProcessToJobObject(self._handle, process), "AssignProcessToJobObject")
        _nt("NtResumeProcess", process)

    def suspend(self) -> None:
        """Let all of it stand still."""
        self._tell_all("NtSuspendProcess")

    def resume(self) -> None:
        self._tell_all("NtResumeProcess")

    def end(self) -> None:
        """Kill all of it."""
        _must(_kernel32().TerminateJobObject(self._handle, 1), "TerminateJobObject")

    @property
    def processes(self) -> int:
        """How many are alive in it."""
        return parse_active(self._ask(_ACCOUNTING_CLASS, ACCOUNTING.size))

    @property
    def peak_memory_mb(self) -> float:
        """The most that it has had at once."""
        return parse_peak_mb(self._ask(_EXTENDED_CLASS, EXTENDED_LIMITS.size))

    def close(self) -> None:
        _kernel32().CloseHandle(self._handle)

    def _tell_all(self, call: str) -> None:
        for pid in parse_pids(self._ask(_PIDS_CLASS, PIDS_HEAD.size + 8 * PIDS_LIMIT)):
            handle = _kernel32().OpenProcess(_SUSPEND_RESUME, False, pid)
            if handle:  # it may have ended just now
                try:
                    _nt(call, handle)
                finally:
                    _kernel32().CloseHandle(handle)

    def _set(self, kind: int, content: bytes) -> None:
        done = _kernel32().SetInformationJobObject(self._handle, kind, content, len(content))
        _must(done, f"SetInformationJobObject {kind}")

    def _ask(self, kind: int, size: int) -> bytes:
        answer = ctypes.create_string_buffer(size)
        done = _kernel32().QueryInformationJobObject(self._handle, kind, answer, size, None)
        _must(done, f"QueryInformationJobObject {kind}")
        return answer.raw


def packed_limits(limits: Limits) -> bytes:
    """The limits as Windows wants them; its memory is what is committed. All ends with the job."""
    flags = _KILL_ON_CLOSE | _DIE_ON_EXCEPTION | _PRIORITY
    processes = memory_bytes = 0
    if not isinstance(limits.processes, msgspec.UnsetType):
        flags, processes = flags | _ACTIVE_PROCESSES, limits.processes
    if not isinstance(limits.memory_mb, msgspec.UnsetType):
        flags, memory_bytes = flags | _JOB_MEMORY, int(limits.memory_mb * MB)
    return EXTENDED_LIMITS.pack(
        0, 0, flags, 0, 0, processes, 0, _BELOW_NORMAL, 0, *[0] * 6, 0, memory_bytes, 0, 0
    )


def packed_cpu(core_percent: float, *, cores: int) -> bytes:
    """A hard cap on the processors' time."""
    hundredths = min(10_000, max(1, ceil(100 * core_percent / cores)))
    return CPU_RATE.pack(_CPU_ENABLE | _CPU_HARD_CAP, hundredths)


def parse_active(accounting: bytes) -> int:
    """How many processes are alive, by a JOBOBJECT_BASIC_ACCOUNTING_INFORMATION."""
    return int(ACCOUNTING.unpack(accounting)[6])


def parse_peak_mb(limits: bytes) -> float:
    """The most memory at once, by a JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""
    return float(EXTENDED_LIMITS.unpack(limits)[-1]) / MB


def parse_pids(listed: bytes) -> list[int]:
    """A JOBOBJECT_BASIC_PROCESS_ID_LIST."""
    _, count = PIDS_HEAD.unpack_from(listed)
    return list(struct.unpack_from(f"<{count}Q", listed, PIDS_HEAD.size))


@cache
def _kernel32() -> Any:
    if sys.platform != "win32":
        raise OSError("job objects are Windows'")
    library = ctypes.WinDLL("kernel32", use_last_error=True)
    library.CreateJobObjectW.restype = library.OpenProcess.restype = ctypes.c_void_p
    for name in _WITH_A_HANDLE:
        getattr(library, name).argtypes = _WITH_A_HANDLE[name]
    return library


_HANDLE, _DWORD = ctypes.c_void_p, ctypes.c_uint32
_WITH_A_HANDLE: dict[str, list[Any]] = {
    "SetInformationJobObject": [_HANDLE, ctypes.c_int, ctypes.c_char_p, _DWORD],
    "QueryInformationJobObject": [_HANDLE, ctypes.c_int, ctypes.c_void_p, _DWORD, ctypes.c_void_p],
    "AssignProcessToJobObject": [_HANDLE, _HANDLE],
    "TerminateJobObject": [_HANDLE, ctypes.c_uint],
    "CloseHandle": [_HANDLE],
}


def _nt(call: str, process: int) -> None:
    if sys.platform != "win32":
        raise OSError("job objects are Windows'")
    status = getattr(ctypes.WinDLL("ntdll"), call)(_HANDLE(process))
    if status:
        raise OSError(f"{call}: status {status & 0xFFFFFFFF:#x}")


def _must(done: int | None, what: str) -> int:
    if done:
        return done
    code = 0
    if sys.platform == "win32":
        code = ctypes.get_last_error()
    raise OSError(code, f"{what}: error {code}")
