"""The last quarter of an hour: what is kept of it, for how long, and what is known of it."""

from __future__ import annotations

from gateway.bodies import CpuHistory, DeviceHistory
from gateway.history import CROWD, STEPS, History, moment
from rpn.model import NO_RESOURCES
from tests.support import make

BUSY = make.resources(cpu_usage=50, memory_usage=8192, has_gpu=True, gpu_usage=25)


def test_usage_sums_over_devices_in_core_percent_and_mb() -> None:
    sums = moment(1, [BUSY, make.resources()])
    assert (sums.cpu_total, sums.cpu_used) == (1600, 400)
    assert (sums.memory_total, sums.memory_used) == (2 * 16384, 8192)
    assert (sums.gpu_total, sums.gpu_used) == (1, 0.25)


def test_a_device_is_kept_in_percent_of_what_it_has() -> None:
    history = History()
    history.record(7, {"a": BUSY})
    told = DeviceHistory(step_seconds=5, step=7, cpu=[50], memory=[50], gpu=[25])
    assert history.device("a") == told


def test_what_nobody_measured_is_unknown() -> None:
    history = History()
    history.record(1, {"a": NO_RESOURCES})
    history.record(4, {"a": BUSY})
    assert history.device("a").cpu == [-1, -1, -1, 50]


def test_who_left_is_forgotten_and_so_is_what_is_long_ago() -> None:
    history = History()
    for step in range(1, STEPS + 50):
        history.record(step, {"b": BUSY} if step > 5 else {"a": BUSY})
    assert history.device("a").cpu == []
    assert len(history.device("b").cpu) == STEPS
    assert len(history.overview().pool) == STEPS


def test_of_a_crowd_only_the_sums_are_in_the_overview() -> None:
    history = History()
    history.record(1, {str(number): BUSY for number in range(CROWD + 1)})
    assert history.overview().devices == {}
    history.record(2, {"a": BUSY})
    assert history.overview().devices == {"a": CpuHistory(cpu=[50])}
