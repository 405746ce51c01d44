"""GPUs: what the driver does not tell stays unknown, and nothing it does ends the agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from agent.gpu import GpuProbe, Gpus


class Driver:
    """Two GPUs; every call named in `broken` fails."""

    def __init__(self, *broken: str) -> None:
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            if name in self._broken:
                raise RuntimeError(name)
            return {
                "nvmlInit": None,
                "nvmlDeviceGetCount": 2,
                "nvmlDeviceGetHandleByIndex": object(),
                "nvmlDeviceGetName": "NVIDIA RTX 3080",
                "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=30),
            }[name]

        return call


def test_a_driver_that_answers_is_believed() -> None:
    assert GpuProbe(Driver()).look() == Gpus(2, "NVIDIA RTX 3080", 30.0)


def test_what_the_driver_does_not_tell_stays_unknown() -> None:
    assert GpuProbe(Driver("nvmlDeviceGetUtilizationRates")).look() == Gpus(2, "NVIDIA RTX 3080", None)
    assert GpuProbe(Driver("nvmlDeviceGetName")).look() == Gpus(2, None, 30.0)


def test_without_a_driver_there_is_no_gpu() -> None:
    assert GpuProbe(Driver("nvmlInit")).look() == Gpus()
    assert GpuProbe(Driver("nvmlDeviceGetCount")).look() == Gpus()
    assert GpuProbe(Driver("nvmlDeviceGetHandleByIndex")).look() == Gpus()
