"""The machine's GPUs: NVIDIA's by their library, if the extra `gpu` brought it, others by the platform."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

log = logging.getLogger(__name__)
T = TypeVar("T")
MB = 2**20
NAME_LIMIT = 256


class Gpu(Struct, frozen=True, rename="camel"):
    """One; None is unknown, never a made-up zero."""

    name: str | None = None
    memory_mb: int | None = None
    memory_used_mb: int | None = None
    usage: float | None = None
    """percent"""


class Gpus(Struct, frozen=True):
    """All of a machine's."""

    each: list[Gpu] = []

    @property
    def count(self) -> int:
        return len(self.each)

    @property
    def name(self) -> str | None:
        """of the first"""
        return self.each[0].name if self.each else None

    @property
    def usage(self) -> float | None:
        """percent, the mean over those that tell"""
        known = [gpu.usage for gpu in self.each if gpu.usage is not None]
        return round(sum(known) / len(known), 1) if known else None


def _none() -> list[Gpu]:
    return []


class GpuProbe:
    """Asks the driver and the platform; a machine without one, or one that fails, simply shows no GPU."""

    def __init__(self, nvml: Any = None, *, others: Callable[[], list[Gpu]] = _none) -> None:
        self._nvml = nvml if nvml is not None else _find_nvml()
        self._others = others
        self._handles: list[Any] = []
        if self._nvml is not None and self._started():
            count = self._ask(self._nvml.nvmlDeviceGetCount) or 0
            handles = (self._ask(self._nvml.nvmlDeviceGetHandleByIndex, index) for index in range(count))
            self._handles = [handle for handle in handles if handle is not None]

    def look(self) -> Gpus:
        return Gpus([*map(self._look_at, self._handles), *self._others()])

    def _look_at(self, handle: Any) -> Gpu:
        name = self._ask(self._nvml.nvmlDeviceGetName, handle)
        if isinstance(name, bytes):  # as older bindings have it
            name = name.decode(errors="replace")
        rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = self._ask(self._nvml.nvmlDeviceGetMemoryInfo, handle)
        return Gpu(
            name[:NAME_LIMIT] if name else None,
            memory_mb=memory.total // MB if memory is not None else None,
            memory_used_mb=memory.used // MB if memory is not None else None,
            usage=float(rates.gpu) if rates is not None else None,
        )

    def _started(self) -> bool:
        try:
            self._nvml.nvmlInit()
        except Exception as error:  # nvml's own kinds, which we may not be able to import
            log.info("no NVIDIA driver: %s", error)
            return False
        return True

    def _ask(self, question: Callable[..., T], *args: Any) -> T | None:
        try:
            return question(*args)
        except Exception as error:
            log.debug("%s: %s", getattr(question, "__name__", "nvml"), error)
            return None


def _find_nvml() -> Any:
    """NVIDIA's library; not loaded where there is plainly no driver, since it is large."""
    if sys.platform == "linux" and not Path("/dev/nvidiactl").exists() and not Path("/dev/dxg").exists():
        return None
    return importlib.import_module("pynvml") if importlib.util.find_spec("pynvml") else None
