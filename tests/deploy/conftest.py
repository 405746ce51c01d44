"""The cluster that the tests of this folder share: it takes a while to build."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.engine import HOUSE, Compose, engine_runs, seconds_since


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stranger gets: everything committed, and nothing else."""
    folder = tmp_path_factory.mktemp("clone") / "rpn"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(HOUSE), str(folder)], check=True)
    return folder


class Started(Compose):
    """A running cluster, and how long it took to be healthy once it was built."""

    healthy_after_s: float = 0.0

    @property
    def url(self) -> str:
        return self.published("lb", 3000)


@pytest.fixture(scope="session")
def cluster(clone: Path) -> Iterator[Started]:
    """Two gateways, two schedulers, three agents and Prometheus; gone, volumes included, at the end."""
    if not engine_runs():
        pytest.skip("no Docker engine with Compose v2 answers here")
    compose = Started(clone, project="rpn-test", net="10.84.0", RPN_DEVICE_LIMIT=400)
    everything = ("--profile", "demo", "--profile", "observe")
    try:
        compose(*everything, "build", "--quiet")
        start_s = time.monotonic()
        compose("up", "--detach", "--wait")
        compose.healthy_after_s = seconds_since(start_s)
        compose(*everything, "up", "--detach", "--wait")
        yield compose
    finally:
        compose(*everything, "--profile", "ha", "down", "--volumes", "--timeout", "5")
