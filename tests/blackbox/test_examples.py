"""The example programs printed in API.md run as they stand, against a pool on its own port."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, call, wait_for
from tests.support.npm import fetched
from tests.support.ws import Client, Message

CONTRACT = "RPN_API_MD"
"""Path of API.md, which is not part of the repository."""
PORT = 3000

pytestmark = [
    pytest.mark.skipif(CONTRACT not in os.environ, reason=f"{CONTRACT} does not name a copy of API.md"),
    pytest.mark.timeout(180),
]

SUPPLIED = """
globalThis.getSystemResources = () => ({
  cpuUsage: 45.5, cpuAvailable: 54.5, cpuCores: 8,
  memoryUsage: 8192, memoryAvailable: 8192, memoryTotal: 16384,
  storageUsage: 512000, storageAvailable: 488000, storageTotal: 1000000,
  hasGPU: true, gpuName: 'NVIDIA RTX 3080', gpuUsage: 30.0,
});
require('./example.cjs');
"""


def program(language: str) -> str:
    """The example client of API.md in this language."""
    text = Path(os.environ[CONTRACT]).read_text(encoding="utf-8")
    examples = text[text.index("## Example Client Implementation") :]
    found = re.search(rf"```{language}\n(.*?)```", examples, re.DOTALL)
    assert found, f"no {language} example in the contract"
    return found.group(1)


@pytest.fixture(scope="module")
def pool_on_3000(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"somebody else listens on port {PORT}")
    cluster = Cluster(tmp_path_factory.mktemp("examples") / "data", first_port=PORT)
    cluster.start()
    try:
        yield cluster
    except BaseException:
        cluster.end_hard()
        raise
    cluster.stop()


class Running:
    """An example program at work, and what it has printed."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)

    def printed(self, line: str) -> bool:
        return line in self._output.read_text().splitlines()

    def wait_printed(self, line: str) -> None:
        try:
            wait_for(lambda: self.printed(line), what=line)
        except AssertionError:
            raise AssertionError(f"never printed {line!r}, but:\n{self._output.read_text()}") from None

    def end(self) -> None:
        self._process.kill()
        self._process.wait(5)


def example_device(cluster: Cluster) -> Message | None:
    listed = call(f"{cluster.urls[0]}/api/devices").json()["devices"]
    return next((device for device in listed if device["id"] == "my-device-1"), None)


def _reported(cluster: Cluster) -> bool:
    device = example_device(cluster)
    return device is not None and device["resources"]["gpuName"] == "NVIDIA RTX 3080"


def test_the_javascript_example(pool_on_3000: Cluster, tmp_path: Path) -> None:
    fetched("ws@8", tmp_path)
    (tmp_path / "example.cjs").write_text(program("javascript"))
    (tmp_path / "supplied.cjs").write_text(SUPPLIED)
    example = Running(["node", "supplied.cjs"], tmp_path)
    try:
        example.wait_printed("Received: devices")
        example.wait_printed("Connected devices: 2")
        example.wait_printed("Received: resource_update")
        visitor = Client(pool_on_3000.urls[0])
        visitor.register(deviceName="Visitor")
        example.wait_printed("New device: Visitor")
        visitor.close()
        example.wait_printed(f"Device left: {visitor.device_id}")
        wait_for(lambda: _reported(pool_on_3000), what="the example's own measurement")
        device = example_device(pool_on_3000)
        assert device is not None
        assert (device["name"], device["platform"]) == ("My Computer", "linux")
    finally:
        example.end()


def test_the_python_example(pool_on_3000: Cluster, tmp_path: Path) -> None:
    wait_for(lambda: example_device(pool_on_3000) is None, what="the other example left")
    (tmp_path / "example.py").write_text(program("python"))
    example = Running([sys.executable, "-u", "example.py"], tmp_path)
    try:
        example.wait_printed("Received: devices")
        device = example_device(pool_on_3000)
        assert device is not None
        assert (device["name"], device["platform"]) == ("My Computer", "linux")
        visitor = Client(pool_on_3000.urls[0])
        visitor.register()
        example.wait_printed("Received: device_joined")
        visitor.close()
        example.wait_printed("Received: device_left")
    finally:
        example.end()
