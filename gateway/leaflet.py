"""What a round tells many at once: its frames, and a file from which the kernel sends them.

A write copies its bytes into the kernel for each connection; from a file in memory all connections
are sent the same pages, which takes a third off a large write. Where the kernel cannot, and for what
is small or for few, the frames themselves are written.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Self

LEAST, READERS_LEAST = 32 * 1024, 16
"""bytes, and readers, from which on a file pays"""


class Leaflet:
    """Frames for many, for as long as the `with` lasts; what the kernel still holds of them stays."""

    __slots__ = ("_file", "frames")

    def __init__(self, frames: bytes, readers: int) -> None:
        self.frames = frames
        self._file = -1
        """without a name, never changed after this"""
        if len(frames) >= LEAST and readers >= READERS_LEAST:
            self._file = _in_memory(frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def send(self, socket: int) -> bytes | memoryview:
        """Send as much as this socket takes now; answers the rest."""
        if self._file < 0:
            return self.frames
        try:
            sent = os.sendfile(socket, self._file, 0, len(self.frames))
        except OSError:  # it takes nothing now, or is broken: whoever writes the rest finds out
            return self.frames
        return memoryview(self.frames)[sent:]


def _in_memory(frames: bytes) -> int:
    """A file that holds `frames`; -1 where there is none to be had."""
    if sys.platform != "linux":
        return -1
    try:
        file = os.memfd_create("round", os.MFD_CLOEXEC)
    except OSError:
        return -1
    try:
        written = os.write(file, frames)
    except OSError:
        written = 0
    if written == len(frames):
        return file
    os.close(file)
    return -1
