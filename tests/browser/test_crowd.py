"""A thousand devices that report 500 times a second: the page stays light, smooth and small."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.support.cluster import Cluster, running

pytestmark = pytest.mark.soak

DEVICES, UPDATES_PER_S = 1000, 500
WATCHED_S, TRACED_S = 120, 10
CORE_LIMIT = 0.6
FRAME_LIMIT_MS = 100
GROWTH_LIMIT_MIB = 4.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    limits = {"RPN_DEVICE_LIMIT": DEVICES + 10}
    with running(tmp_path_factory.mktemp("crowd") / "data", **limits) as started:
        yield started


@pytest.fixture
def crowd(cluster: Cluster) -> Iterator[None]:
    url = cluster.urls[0].replace("http", "ws") + "/ws"
    command = [sys.executable, "-P", "-m", "tests.browser.devices", url, str(DEVICES), str(UPDATES_PER_S)]
    root = Path(__file__).parents[2]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=root, env={"PYTHONPATH": str(root)}, **pipes) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"joined\n"
        yield
        process.stdin.close()
        process.wait(20)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("shape", ["map", "table"])
def test_a_thousand_devices_are_light_to_watch(viewer: Viewer, crowd: None, shape: str) -> None:
    page = viewer.go("devices" if shape == "map" else "devices?as=table")
    expect(page.locator(".summary")).to_have_text("1,001 devices", timeout=20_000)
    expect(page.locator(".map" if shape == "map" else ".devices-table")).to_be_visible()
    page.wait_for_timeout(5_000)
    session = page.context.new_cdp_session(page)
    heap_before = _heap_mib(session)
    renderer = _renderer()
    began, used = time.monotonic(), _cpu_s(renderer)
    page.wait_for_timeout(1000 * (WATCHED_S if shape == "map" else TRACED_S))
    share = (_cpu_s(renderer) - used) / (time.monotonic() - began)
    growth_mib = _heap_mib(session) - heap_before
    longest_ms = _longest_task_ms(page)
    print(f"{shape}: {share:.2f} of a core, longest task {longest_ms:.0f} ms, heap grew {growth_mib:.2f} MiB")
    assert share < CORE_LIMIT
    assert longest_ms < FRAME_LIMIT_MS
    assert growth_mib < GROWTH_LIMIT_MIB


def _renderer() -> psutil.Process:
    """The process that draws the page: the renderer that has worked most."""
    ours = psutil.Process().children(recursive=True)
    drawing = [each for each in ours if "--type=renderer" in " ".join(each.cmdline())]
    return max(drawing, key=_cpu_s)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _heap_mib(session: Any) -> float:
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 2**20


def _longest_task_ms(page: Any) -> float:
    """CPU time of the longest task of the page's main thread: what else the machine does is not counted."""
    page.context.browser.start_tracing(
        page=page, categories=["toplevel", "disabled-by-default-devtools.timeline"]
    )
    page.wait_for_timeout(1000 * TRACED_S)
    events = json.loads(page.context.browser.stop_tracing())["traceEvents"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    tasks = [
        e for e in events if e["name"] == "RunTask" and names.get((e["pid"], e["tid"])) == "CrRendererMain"
    ]
    assert len(tasks) > 100
    lasted_us = [e.get("tdur", e.get("dur", 0)) for e in tasks]  # one that began before the trace has neither
    return float(max(lasted_us) / 1000)
