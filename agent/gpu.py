"""The machine's NVIDIA GPUs, if the extra `gpu` is installed and the driver answers."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

log = logging.getLogger(__name__)
T = TypeVar("T")


class Gpus(Struct, frozen=True):
    """What is known of a machine's GPUs; None is unknown, never a made-up zero."""

    count: int = 0
    name: str | None = None
    """of the first"""
    usage: float | None = None
    """percent, the mean over those that tell"""


class GpuProbe:
    """Asks the driver; a machine without one, or one that fails, simply shows no GPU."""

    def __init__(self, nvml: Any = None) -> None:
        self._nvml = nvml if nvml is not None else _find_nvml()
        self._handles: list[Any] = []
        if self._nvml is not None and self._started():
            count = self._ask(self._nvml.nvmlDeviceGetCount) or 0
            handles = (self._ask(self._nvml.nvmlDeviceGetHandleByIndex, index) for index in range(count))
            self._handles = [handle for handle in handles if handle is not None]

    def look(self) -> Gpus:
        if not self._handles:
            return Gpus()
        name = self._ask(self._nvml.nvmlDeviceGetName, self._handles[0])
        if isinstance(name, bytes):  # as older bindings have it
            name = name.decode(errors="replace")
        rates = [self._ask(self._nvml.nvmlDeviceGetUtilizationRates, handle) for handle in self._handles]
        known = [float(rate.gpu) for rate in rates if rate is not None]
        usage = round(sum(known) / len(known), 1) if known else None
        return Gpus(len(self._handles), name[:256] if name else None, usage)

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
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None
