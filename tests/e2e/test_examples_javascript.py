"""The JavaScript examples run as they stand, with the `ws` package; the client is ready to be published."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, device_ids, running, wait_for
from tests.support.npm import fetched
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "gateway" / "ui" / "rpn-client"
NODE, NPM = shutil.which("node"), shutil.which("npm")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (NODE and NPM), reason="no node and npm here")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("examples") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the `ws` package."""
    return fetched("ws@8", tmp_path_factory.mktemp("javascript")).parent


def placed(name: str, workshop: Path, cluster: Cluster) -> Path:
    """An example where `ws` is found, for a pool on another port."""
    text = (ROOT / "examples" / "javascript" / name).read_text(encoding="utf-8")
    here = workshop / name
    text = text.replace("http://127.0.0.1:3000", cluster.urls[0])
    here.write_text(text.replace("../../gateway/ui/rpn-client", str(CLIENT)), encoding="utf-8")
    return here


def test_a_task_runs_from_node(workshop: Path, cluster: Cluster) -> None:
    program = placed("first_task.mjs", workshop, cluster)
    ran = subprocess.run(
        [str(NODE), program], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "9592" in ran.stdout


def test_node_is_a_device_for_as_long_as_it_runs(workshop: Path, cluster: Cluster) -> None:
    program = placed("be_a_device.mjs", workshop, cluster)
    before = device_ids(cluster.urls[0])
    with subprocess.Popen([str(NODE), program], stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: device_ids(cluster.urls[0]) - before, what="a device more")
        process.kill()
    wait_for(lambda: device_ids(cluster.urls[0]) == before, what="the device gone")


def test_the_package_holds_the_client_its_types_and_nothing_else(tmp_path: Path) -> None:
    command = [str(NPM), "pack", "--json", "--pack-destination", str(tmp_path)]
    ran = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, check=True)
    packed = json.loads(ran.stdout)[0]
    assert {each["path"] for each in packed["files"]} == {
        "README.md",
        "index.d.ts",
        "index.js",
        "package.json",
    }
