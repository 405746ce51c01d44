"""GPUs: what the driver does not tell stays unknown, and nothing it does ends the agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.gpu import Gpu, GpuProbe, Gpus


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
                "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=10 * 2**30, used=2**30),
            }[name]

        return call


def test_a_driver_that_answers_is_believed() -> None:
    found = GpuProbe(Driver()).look()
    assert found == Gpus([Gpu("NVIDIA RTX 3080", 10240, 1024, 30.0)] * 2)
    assert (found.count, found.name, found.usage) == (2, "NVIDIA RTX 3080", 30.0)


@pytest.mark.parametrize(
    ("broken", "known"),
    [
        ("nvmlDeviceGetUtilizationRates", Gpu("NVIDIA RTX 3080", 10240, 1024)),
        ("nvmlDeviceGetName", Gpu(None, 10240, 1024, 30.0)),
        ("nvmlDeviceGetMemoryInfo", Gpu("NVIDIA RTX 3080", usage=30.0)),
    ],
)
def test_what_the_driver_does_not_tell_stays_unknown(broken: str, known: Gpu) -> None:
    assert GpuProbe(Driver(broken)).look() == Gpus([known] * 2)


def test_gpus_of_others_are_shown_after_nvidias() -> None:
    found = GpuProbe(Driver(), others=lambda: [Gpu("AMD GPU", usage=60.0)]).look()
    assert (found.count, found.name, found.usage) == (3, "NVIDIA RTX 3080", 40.0)


def test_without_a_driver_there_is_no_gpu() -> None:
    assert GpuProbe(Driver("nvmlInit")).look() == Gpus()
    assert GpuProbe(Driver("nvmlDeviceGetCount")).look() == Gpus()
    assert GpuProbe(Driver("nvmlDeviceGetHandleByIndex")).look() == Gpus()
